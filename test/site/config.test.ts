import test from 'ava';
import {
  configJsonSchema,
  defaultConfig,
  httpUrl,
  inNetwork,
  siteConfigSchema,
} from '../../src/site/config.js';
import { SiteError } from '../../src/site/errors.js';
import { parseListen } from '../../src/site/listen.js';
import { parseConfig } from '../../src/site/parse.js';
import { renderDefaultConfig } from '../../src/site/render.js';

const defaults = {
  name: 'rackboot',
  database: 'sqlite',
  http: { listen: '127.0.0.1:8080', limits: {} },
  tftp: { listen: 'off', ports: 'any', limits: {}, clients: [] },
  dhcp: { interfaces: {}, subnets: [], unknown: 'refuse', probe: 'off', limits: {} },
  install: { done: 'report', tokenTtl: 3600 },
  xcat: { genesis: 'genesis', reports: 'off', paths: 'off', limits: {} },
  power: {
    parallel: 32,
    stagger: 0,
    timeout: 60,
    retries: 2,
    ipmi: { privilege: 'ADMINISTRATOR' },
    redfish: { certificates: 'check', auth: 'session' },
    ssh: { user: 'root', reboot: 'reboot', poweroff: 'poweroff' },
  },
  signing: { by: 'nobody' },
  mirror: {
    versions: { '8.2': 'https://updates.xcp-ng.org/8/8.2', '8.3': 'https://updates.xcp-ng.org/8/8.3' },
    exclude: ['/Source/', '-debuginfo-', '-debug-', '-devel[-_]', '/xs-opam-repo', '/ocaml', '/golang'],
    jobs: 8,
  },
  serve: { holdGenerations: 86400 },
  history: { days: 90, events: 1_000_000 },
};

for (const [what, text] of [
  ['an empty file', ''],
  ['comments only', '# nothing\n'],
  ['keys without values', 'http:\nname:\ndhcp:\n  subnets:\n'],
  ['the file that init writes', renderDefaultConfig()],
] as const) {
  test(`${what} is the default configuration`, (t) => {
    t.deepEqual<unknown, unknown>(parseConfig(text, 'rackboot.yaml'), defaults);
  });
}

test('every value can be set', (t) => {
  const config = parseConfig(
    `
name: site-1
database: postgres://rackboot@db/rackboot
http: { listen: '[::1]:0', url: 'https://boot.example/base' }
tftp:
  listen: 0.0.0.0:69
  ports: 50000-50999
  limits: { transfers: 2000, transfersPerClient: 8, memory: 1048576, blksize: 1468, windowsize: 16 }
  clients:
    - { mac: '52:54:00', blksize: 1468, windowsize: 1 }
    - { network: 'fd00:77::/64', options: ignore }
dhcp:
  interfaces: { eth0: authoritative, eth1: proxy, br-lan.7: off }
  unknown: record
  subnets:
    - network: 10.77.0.0/24
      server: 10.77.0.1
      routers: [10.77.0.254]
      nameServers: [10.77.0.2, 10.77.0.3]
      domain: rack.example
      lease: 600
    - { network: 192.168.0.0/16, server: 192.168.255.1, pools: [192.168.1.0-192.168.1.255] }
    - { network: 10.88.0.0/24, server: 10.77.0.1, relays: [10.88.0.1] }
  loaders: { bios: my.kpxe, uefi-x64: my.efi, uefi-arm64: snponly-arm64.efi }
install: { done: fetched, lastFile: '**/last.udeb', tokenTtl: 60 }
serve: { holdGenerations: 1 }
history: { days: 7, events: 5000 }
`,
    'rackboot.yaml',
  );
  t.deepEqual(config.tftp, {
    listen: '0.0.0.0:69',
    ports: '50000-50999',
    limits: { transfers: 2000, transfersPerClient: 8, memory: 1048576, blksize: 1468, windowsize: 16 },
    clients: [
      { mac: '52:54:00', blksize: 1468, windowsize: 1 },
      { network: 'fd00:77::/64', options: 'ignore' },
    ],
  });
  t.is(config.dhcp.interfaces['br-lan.7'], 'off');
  t.is(config.dhcp.subnets[0]?.lease, 600);
  t.deepEqual(config.dhcp.subnets[1], {
    network: '192.168.0.0/16',
    server: '192.168.255.1',
    routers: [],
    nameServers: [],
    lease: 3600,
    pools: ['192.168.1.0-192.168.1.255'],
    relays: [],
  });
  t.is(config.dhcp.interfaces['eth1'], 'proxy');
  t.is(config.dhcp.subnets[2]?.server, '10.77.0.1');
  t.is(config.dhcp.loaders?.['uefi-arm64'], 'snponly-arm64.efi');
  t.is(config.install.lastFile, '**/last.udeb');
});

const subnet = 'dhcp:\n  subnets:\n  - ';
for (const [text, message] of [
  ['# a\nname: x\nhtpp:\n  listen: 3\n', "line 3: unknown key 'htpp'; did you mean 'http'?"],
  ['http:\n  url: http://a\n  lisen: x\n', "line 3: unknown key 'lisen' in 'http'; did you mean 'listen'?"],
  ['Name: x', "line 1: unknown key 'Name'; did you mean 'name'?"],
  [
    'wibble: 1',
    "unknown key 'wibble'; known ones: name, database, http, tftp, dhcp, install, xcat, power, signing, mirror, serve",
  ],
  ['power: { parallel: 0 }', 'power.parallel must be a whole number from 1 to 1024'],
  ['power: { timeout: 0.5 }', 'power.timeout must be a whole number of seconds from 1 to 3600'],
  ['power: { stagger: -1 }', 'power.stagger must be 0 seconds or more'],
  ['power: { redfish: { certificates: no } }', 'power.redfish.certificates must be one of: check, any'],
  ['power: { password: x }', "unknown key 'password' in 'power'"],
  ['serve: {}\nempty:\n', "line 2: unknown key 'empty'"],
  [
    `${subnet}network: 10.0.0.0/24\n    server: 10.0.0.1\n    leaze: 3`,
    "line 5: unknown key 'leaze' in 'dhcp.subnets.0'; did you mean 'lease'?",
  ],
  ['http:\n  listen: 8080\n', 'line 2: http.listen must be a string'],
  ['http:\n  listen: localhost:8080\n', 'http.listen must be address:port, such as 127.0.0.1:8080'],
  ['http:\n  listen: 127.0.0.1:65536\n', 'http.listen must have a port of at most 65535'],
  ['http:\n  url: boot.example\n', 'http.url must be an http:// URL without a final slash'],
  ['http:\n  url: http://boot.example/\n', 'http.url must be an http:// URL without a final slash'],
  ['tftp: { listen: yes }', "tftp.listen must be 'off', or address:port"],
  ['tftp: { ports: 69 }', 'tftp.ports must be a string'],
  ['tftp: { ports: 2-1 }', 'tftp.ports must be any, single or a range of ports such as 50000-50999'],
  ['tftp: { ports: 1-65536 }', 'tftp.ports must be any, single or a range'],
  ['tftp: { limits: { blksize: 511 } }', 'tftp.limits.blksize must be a whole number from 512 to 65464'],
  ['tftp: { limits: { windowsize: 65 } }', 'tftp.limits.windowsize must be a whole number from 1 to 64'],
  [
    'tftp: { clients: [{ network: 10.0.0.0 }] }',
    'tftp.clients.0.network must be a network in CIDR form, such as 10.77.3.0/24',
  ],
  ['tftp: { clients: [{ network: "fd00::/129" }] }', 'tftp.clients.0.network must be a network in CIDR form'],
  ['tftp: { clients: [{ mac: "5254" }] }', 'tftp.clients.0.mac must be a MAC address or its first octets'],
  ['tftp: { clients: [{ mac: "52", options: no }] }', 'tftp.clients.0.options must be'],
  ['tftp: { clients: [{ blksize: 512 }] }', 'tftp.clients.0 must name a network or a mac'],
  ['http: [1]', 'http must be a mapping of keys to values'],
  ['- a', 'line 1: the file must be a mapping of keys to values'],
  ['just text', 'the file must be a mapping'],
  ['name: two words', 'name must be letters, digits'],
  ['database: mysql://x', "database must be 'sqlite' or a postgres:// URL"],
  ['install: { done: never }', 'install.done must be one of: report, fetched'],
  ['install:\n  done: fetched\n', 'line 1: install.lastFile must be set when install.done is fetched'],
  ['install: { tokenTtl: 0 }', 'install.tokenTtl must be at least 1 second'],
  ['serve: { holdGenerations: 1.5 }', 'serve.holdGenerations must be a whole number of seconds'],
  ['history: { days: 0 }', 'history.days must be 1 or more'],
  ['history: { days: 1.5 }', 'history.days must be a whole number of days'],
  ['history: { events: 10 }', 'history.events must be 1000 or more'],
  ['serve: { holdGenerations: 1d }', 'serve.holdGenerations must be a whole number of seconds'],
  [
    'dhcp:\n  interfaces:\n    eth0: on\n',
    'line 3: dhcp.interfaces.eth0 must be one of: off, proxy, authoritative',
  ],
  ['dhcp: { interfaces: { "a/b": off } }', 'dhcp.interfaces.a/b must be a network interface name'],
  [`${subnet}server: 10.0.0.1`, 'dhcp.subnets.0.network is missing'],
  [
    `${subnet}network: 10.0.0/24\n    server: 10.0.0.1`,
    'line 3: dhcp.subnets.0.network must be a network in CIDR form',
  ],
  [
    `${subnet}network: 10.0.0.0/24\n    server: 10.0.1.1`,
    'line 4: dhcp.subnets.0.server must be an address inside',
  ],
  [
    `${subnet}{network: 10.0.0.0/33, server: 10.0.0.1}`,
    'dhcp.subnets.0.network must be a network in CIDR form',
  ],
  [
    `${subnet}{network: 10.0.0.0/24, server: 10.0.0.1, pools: [10.0.0.9-10.0.0.8]}`,
    'dhcp.subnets.0.pools.0 must be a range, such as 10.77.0.100-10.77.0.199',
  ],
  [
    `${subnet}{network: 10.0.0.0/24, server: 10.0.0.1, pools: [10.0.0.9-10.0.1.8]}`,
    'dhcp.subnets.0.pools must lie inside the network',
  ],
  [
    'dhcp: { loaders: { bios: ../etc/passwd } }',
    'dhcp.loaders.bios must be ipxe, pxelinux, grub, shim or a plain file name',
  ],
  [
    'dhcp: { loaders: { bios: pxelinx } }',
    "dhcp.loaders.bios must be ipxe, pxelinux, grub, shim or a plain file name, such as undionly.kpxe, not 'pxelinx'; did you mean 'pxelinux'?",
  ],
  [
    'dhcp: { loaders: { bios: shim } }',
    "dhcp.loaders.bios cannot be 'shim', which is for uefi-x64; take ipxe or pxelinux",
  ],
  [
    'dhcp: { loaders: { http-x64: shim } }',
    "dhcp.loaders.http-x64 cannot be 'shim', which is for uefi-x64; take ipxe or grub",
  ],
  ['dhcp: { loaders: { uefi-arm64: grub } }', 'name a file of your own in /usr/lib/ipxe'],
  [
    'dhcp: { loaders: { uefi-x64: script } }',
    'dhcp.loaders.uefi-x64 must be a loader: only clients that are iPXE take a script',
  ],
  ['a: [', 'line 1: Flow sequence'],
  ['name: a\nname: b\n', 'line 2: name is set a second time, first on line 1; keep one'],
  [
    'http:\n  port: 80\n  limits: {}\n\n  port: 81\n',
    'line 5: http.port is set a second time, first on line 2; keep one',
  ],
  ['dhcp: { probe: on, "probe": off }\n', 'line 1: dhcp.probe is set a second time, first on line 1'],
  ['name: a\n---\nname: b\n', 'line 2: a second document begins; keep one'],
  ['name: a b\nserve: { holdGenerations: x }\nwibble: 1\n', 'line 1: name must be letters, digits'],
] as const) {
  test(`refused: ${JSON.stringify(text)}`, (t) => {
    const error = t.throws(() => parseConfig(text, '/s/rackboot.yaml'), {
      instanceOf: SiteError,
      code: 'BAD_CONFIG',
    });
    t.true(error.message.startsWith('/s/rackboot.yaml line '), error.message);
    t.true(error.message.includes(message), error.message);
    t.false(error.message.includes('\n'));
  });
}

test('of several problems the first is told and the rest are counted', (t) => {
  t.throws(() => parseConfig('wibble: 1\nname: a b\nserve: 1\n', 'f'), {
    message: /^f line 1: .* \(and 2 more\)$/,
  });
});

test('a password is not told', (t) => {
  const error = t.throws(() => parseConfig('database: mysql://user:hunter2@db/x', 'f'));
  t.false(error.message.includes('hunter2'));
});

test('aliases cannot be made to explode', (t) => {
  const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]'];
  for (let level = 1; level < 9; level++) {
    const before = Array.from({ length: 10 }, () => `*a${level - 1}`).join(', ');
    lines.push(`a${level}: &a${level} [${before}]`);
  }
  t.throws(() => parseConfig(lines.join('\n'), 'f'), { instanceOf: SiteError });
});

test('every key has a description, in the JSON schema too, and stands in the file that init writes', (t) => {
  const text = renderDefaultConfig();
  const walk = (schema: ReturnType<typeof configJsonSchema>, path: string): void => {
    for (const [key, property] of Object.entries(schema.properties ?? {})) {
      if (typeof property !== 'object') continue;
      t.truthy(property.description, `${path}${key}`);
      if (path === '' || schema.properties?.['bios'] === undefined)
        t.true(text.includes(`${key}:`), `${path}${key}`);
      walk(property, `${path}${key}.`);
    }
  };
  walk(configJsonSchema(), '');
  t.false(text.includes('undefined'));
});

test('what is commented out in the file that init writes may be taken in', (t) => {
  const text = renderDefaultConfig().replace(/^( *)#([a-zA-Z]+:)/gm, '$1$2');
  const config = parseConfig(text, 'f');
  t.truthy(config.http.url);
  t.truthy(config.install.lastFile);
  t.truthy(config.dhcp.loaders);
});

test('addresses', (t) => {
  t.deepEqual(parseListen('127.0.0.1:8080'), { host: '127.0.0.1', port: 8080 });
  t.deepEqual(parseListen('[::1]:69'), { host: '::1', port: 69 });
  for (const wrong of [
    '',
    ':1',
    '1.2.3.4',
    '1.2.3.4:',
    '1.2.3.4:65536',
    '::1:80',
    'localhost:1',
    '1.2.3.4:-1',
  ]) {
    t.throws(() => parseListen(wrong), { instanceOf: RangeError }, wrong);
  }
  t.true(inNetwork('10.0.0.0/8', '10.255.0.1'));
  t.false(inNetwork('10.77.0.0/24', '10.77.1.0'));
  t.is(httpUrl(defaultConfig()), 'http://127.0.0.1:8080');
  t.is(httpUrl(siteConfigSchema.parse({ http: { listen: '[::1]:0' } }), 4711), 'http://[::1]:4711');
  t.is(httpUrl(siteConfigSchema.parse({ http: { url: 'http://boot' } }), 4711), 'http://boot');
});
