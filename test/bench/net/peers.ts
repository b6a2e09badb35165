import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { DebianPeers } from './debian-peers.js';
import { SERVER, type Lab, type Running } from './lab.js';

/** The packages the TFTP servers come from, and what they need beyond Debian's base. */
export const TFTP_PACKAGES = ['tftpd-hpa', 'atftpd', 'libwrap0'] as const;

/** A TFTP server of somebody else's, which serves one directory. */
export interface TftpPeer {
  readonly name: string;
  readonly port: number;
  readonly negotiatesWindows: boolean; // RFC 7440
  start(lab: Lab, root: string): Promise<Running>;
}

/** The TFTP servers of Debian 12. */
export function tftpPeers(debian: DebianPeers): readonly TftpPeer[] {
  const peer = (name: string, port: number, command: (root: string) => readonly string[]): TftpPeer => ({
    name,
    port,
    negotiatesWindows: name === 'atftpd',
    start: (lab, root) => lab.server.start(command(root), () => isListening(lab, port)),
  });
  const { address } = SERVER;
  return [
    peer('tftpd-hpa', 6970, (root) =>
      debian.command(
        'usr/sbin/in.tftpd',
        ...['--foreground', '--ipv4', '--user', 'root', '--address', `${address}:6970`, '--secure', root],
      ),
    ),
    peer('dnsmasq', 69, (root) => [
      'dnsmasq',
      ...['--keep-in-foreground', '--conf-file=/dev/null', '--port=0', '--user=root', '--pid-file='],
      ...['--bind-interfaces', `--listen-address=${address}`, '--enable-tftp', `--tftp-root=${root}`],
    ]),
    peer('atftpd', 6971, (root) =>
      debian.command(
        'usr/sbin/atftpd',
        ...['--daemon', '--no-fork', '--user', 'root.root', '--bind-address', address],
        ...['--port', '6971', '--logfile', '/dev/null', root],
      ),
    ),
  ];
}

async function isListening(lab: Lab, port: number): Promise<boolean> {
  const { output } = await lab.server.run(['ss', '-Hlun', `sport = :${port}`]);
  return output.includes(`:${port}`);
}

export const NGINX_PORT = 8081;
export const NGINX_URL = `http://${SERVER.address}:${NGINX_PORT}`;

/** nginx as Debian configures it, with sendfile, serving `root`. */
export async function startNginx(lab: Lab, directory: string, root: string): Promise<Running> {
  return runNginx(
    lab,
    directory,
    `sendfile on; tcp_nopush on; server { listen ${SERVER.address}:${NGINX_PORT}; root ${root}; }`,
    `${NGINX_URL}/`,
  );
}

/** nginx with the configuration that rackboot wrote to stand in front of itself. */
export async function startFront(lab: Lab, directory: string, config: string): Promise<Running> {
  const file = path.join(directory, 'front.conf');
  await writeFile(file, config);
  return runNginx(lab, directory, `include ${file};`, `${NGINX_URL}/healthz`);
}

async function runNginx(lab: Lab, directory: string, http: string, url: string): Promise<Running> {
  const home = path.join(directory, 'nginx');
  await mkdir(home, { recursive: true });
  const own = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${home}/${name};`)
    .join(' ');
  await writeFile(
    path.join(home, 'nginx.conf'),
    `daemon off; user root; worker_processes auto; pid ${home}/pid; error_log stderr;
events { worker_connections 1024; }
http { access_log off; default_type application/octet-stream; ${own} ${http} }
`,
  );
  return lab.server.start(['nginx', '-e', 'stderr', '-p', home, '-c', `${home}/nginx.conf`], async () => {
    const { output } = await lab.client.run(['curl', '-s', '-o', '/dev/null', '-w', '%{http_code}', url]);
    return output !== '000' && output !== '';
  });
}
