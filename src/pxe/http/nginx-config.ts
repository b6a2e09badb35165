import type { SiteConfig } from '../../site/config.js';
import { parseListen } from '../../site/listen.js';
import { TRANSFERS_PER_RACK } from './admission.js';

/** How nginx stands in front of rackboot. */
export interface NginxOptions {
  readonly listen: string; // address:port
  readonly cache: string; // absolute directory
  readonly cacheGigabytes: number;
}

/** The part of an immutable file that nginx fetches and keeps as one file, in bytes. */
const SLICE = 16 * 1024 * 1024;

/** How nginx spreads the retries of a rack that has as many transfers as it may: seconds, each as likely as another. */
const RETRIES = [2, 4, 6, 8, 10, 13, 16, 20, 25, 30];

/**
 * A file for nginx's `http` block: immutable files are fetched from us slice by slice, once, and sent from nginx's cache;
 * all else is passed on with the address of who asks. Throws RangeError on a listen address or directory that is none.
 */
export function nginxConfig(config: SiteConfig, options: NginxOptions): string {
  const { host, port } = parseListen(options.listen);
  if (!/^\/[\w./-]+$/.test(options.cache)) {
    throw new RangeError(`'${options.cache}' is not an absolute directory of plain characters`);
  }
  const subnets = config.dhcp.subnets.map(({ network }) => `    ${network} ${network};\n`).join('');
  const share = Math.floor(100 / RETRIES.length);
  const retries = RETRIES.slice(1)
    .map((seconds) => `    ${share}% ${seconds};\n`)
    .join('');
  return `# Written by: rackboot nginx-config. Belongs into the http block of nginx.conf, as /etc/nginx/conf.d/rackboot.conf.

proxy_cache_path ${options.cache} levels=1:2 keys_zone=rackboot:64m max_size=${options.cacheGigabytes}g
    inactive=30d use_temp_path=off;

upstream rackboot {
    server ${upstreamOf(config.http.listen)};
    keepalive 64;
}

# A rack: a network of dhcp.subnets, else a /24 (IPv6: the address).
geo $rackboot_subnet {
    default "";
${subnets}}
map $remote_addr $rackboot_net {
    default $remote_addr;
    "~^(?<rackboot_head>\\d+\\.\\d+\\.\\d+)\\." $rackboot_head;
}
map $rackboot_subnet $rackboot_rack {
    default $rackboot_subnet;
    "" $rackboot_net;
}
limit_conn_zone $rackboot_rack zone=rackboot_rack:1m;
split_clients $request_id $rackboot_retry {
${retries}    * ${RETRIES[0]};
}

server {
    listen ${host.includes(':') ? `[${host}]` : host}:${port};
    server_name _;
    client_max_body_size 32k;
    sendfile on;
    tcp_nopush on;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;
    error_page 503 @rackboot_busy;

    location ~ ^/images/[^/]+@[0-9a-f]+/files/ {
        limit_conn rackboot_rack ${config.http.transfersPerRack ?? TRANSFERS_PER_RACK};
        limit_conn_status 503;
${cached}    }

    location ~ ^/images/[^/]+@[0-9a-f]+(?:/tree/|/iso$|\\.iso$) {
${cached}    }

    location / {
        proxy_pass http://rackboot;
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_buffering off;
        proxy_read_timeout 1h;
    }

    location @rackboot_busy {
        internal;
        default_type text/plain;
        add_header Retry-After $rackboot_retry always;
        return 503 "the transfers of this rack are all taken; ask again later\\n";
    }
}
`;
}

const cached = `        slice ${SLICE};
        proxy_pass http://rackboot;
        proxy_set_header Range $slice_range;
        proxy_cache rackboot;
        proxy_cache_key $uri$slice_range;
        proxy_cache_valid 200 206 30d;
        proxy_cache_lock on;
        proxy_cache_lock_timeout 1m;
        proxy_cache_lock_age 1m;
`;

/** Where nginx finds us: where HTTP listens, on loopback when that is everywhere. */
function upstreamOf(listen: string): string {
  const { host, port } = parseListen(listen);
  const near = host === '0.0.0.0' ? '127.0.0.1' : /^[0:]+$/.test(host) ? '::1' : host;
  return `${near.includes(':') ? `[${near}]` : near}:${port}`;
}
