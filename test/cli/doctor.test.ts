import { appendFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import test from 'ava';
import { checkCertificate } from '../../src/api/doctor-certificate.js';
import { openSite } from '../../src/site/site.js';
import { makeCertificate } from '../pxe/http/made-certificate.js';
import { packageRoot } from '../../src/site/assets.js';
import { clientMessage, is } from '../pxe/dhcp/messages.js';
import { ipPacket, pcapFile } from '../pxe/dhcp/pcap-file.js';
import { CLIENT_SIDE, SERVER_SIDE, openSegment } from '../pxe/dhcp/segment.js';
import { newSite } from './in-process.js';
import { freePort } from '../free-port.js';

interface CheckLine {
  readonly what: string;
  readonly state: string;
  readonly detail: string;
  readonly mend: string | null;
}

const discover = ipPacket({
  from: '0.0.0.0:68',
  to: '255.255.255.255:67',
  packet: clientMessage([is('discover')]),
});

test('a site is well, or it is said what mends it', async (t) => {
  const { dir, rackboot, json } = await newSite(t);
  const port = await freePort();
  await writeFile(join(dir, 'rackboot.yaml'), `http: { listen: '127.0.0.1:${port}' }\n`);
  const checks = (await json('doctor')) as CheckLine[];
  t.is(checks.find(({ what }) => what === 'HTTP')?.detail, `127.0.0.1:${port} is free`);
  t.true(
    checks
      .filter(({ what }) => ['site', 'HTTP', 'TFTP', 'DHCP'].includes(what))
      .every((each) => each.state === 'ok'),
  );

  const taken = createServer().listen(port, '127.0.0.1');
  await new Promise((resolve) => taken.once('listening', resolve));
  t.teardown(() => taken.close());
  await appendFile(
    join(dir, 'rackboot.yaml'),
    `dhcp: { interfaces: { rackboot9: authoritative }, loaders: { bios: missing.kpxe } }\n`,
  );
  await rackboot('node', 'add', 'n1', '--mac', '525400000001');
  const ill = await rackboot('doctor');
  t.is(ill.status, 1);
  t.regex(ill.err, /^rackboot: \d+ of \d+ checks failed/);
  for (const line of [
    /^fault {4}HTTP +127\.0\.0\.1:\d+ is in use by another program\n +→ find it with: ss -lntup$/m,
    /^fault {4}HTTP +nodes are sent to http:\/\/127\.0\.0\.1/m,
    /^fault {4}DHCP +dhcp\.interfaces\.rackboot9: no such interface/m,
    /^fault {4}loader +\/usr\/lib\/ipxe\/missing\.kpxe is missing$/m,
    /^warning {2}TFTP +it is off/m,
    /^warning {2}nodes +node n1 without an address, and there is no pool/m,
  ]) {
    t.regex(ill.out, line);
  }
});

test('a directory that is no site is told', async (t) => {
  const { rackboot } = await newSite(t);
  const { status, out } = await rackboot('--site', '/nonexistent', 'doctor');
  t.is(status, 1);
  t.regex(out, /^fault {4}site +\/nonexistent: not a rackboot site\n +→ make one with: rackboot/m);
});

test('a capture is explained', async (t) => {
  const { dir, rackboot, json } = await newSite(t);
  const file = join(dir, 'boot.pcap');
  await writeFile(file, pcapFile([discover, discover]));
  const told = await rackboot('doctor', 'dhcp', '--pcap', file);
  t.is(told.status, 1);
  t.regex(
    told.out,
    /^52:54:00:00:00:07 {2}operating system, answered by nobody\n {2}it asked 2 times and nobody answered; no relay passed it on either\n {4}→ on this wire/,
  );
  t.regex(told.err, /^rackboot: 1 of 1 DHCP clients were not served/);
  await writeFile(file, pcapFile([]));
  t.regex((await rackboot('doctor', 'dhcp', '--pcap', file)).out, /^no DHCP message was seen/);
  t.deepEqual(await json('doctor', 'dhcp', '--pcap', file), { messages: 0, malformed: 0, clients: [] });
});

for (const [words, status, message] of [
  [['dhcp'], 2, /give --interface NAME to listen there, or --pcap FILE/],
  [['dhcp', '--pcap', 'a', '--interface', 'b'], 2, /give --interface NAME/],
  [['dhcp', '--interface', 'lo', '--seconds', '0'], 2, /write a number from 1 to 9999/],
  [['--pcap', 'a'], 2, /--pcap is for: rackboot doctor dhcp/],
  [['tftp'], 2, /dhcp/],
  [['dhcp', '--pcap', '/nonexistent'], 1, /\/nonexistent: .*tcpdump -w/],
  [['dhcp', '--pcap', '/etc/passwd'], 1, /no pcap file/],
  [['dhcp', '--interface', 'rackboot9', '--seconds', '5'], 1, /tcpdump on rackboot9: /],
] as const) {
  test(`refused: doctor ${words.join(' ')}`, async (t) => {
    const { rackboot } = await newSite(t);
    const refused = await rackboot('doctor', ...words);
    t.is(refused.status, status);
    t.regex(refused.err.replace(/^listening.*\n/, ''), message);
    t.regex(refused.err.replace(/^listening.*\n/, ''), /^[^\n]*\n$/);
  });
}

test('it listens with tcpdump on a wire, and explains a boot that nobody answers', async (t) => {
  const segment = await openSegment();
  t.teardown(() => segment.close());
  const command = ['--json', 'doctor', 'dhcp', '--interface', SERVER_SIDE.interface, '--seconds', '8'];
  const doctor = segment.server.run([join(packageRoot(), 'bin', 'rackboot'), ...command], 60);
  // udhcpc asks for as long as the doctor listens.
  const client = segment.client.spawn([
    'udhcpc',
    '-f',
    '-t',
    '100',
    '-T',
    '1',
    '-i',
    CLIENT_SIDE.interface,
    '-s',
    '/bin/true',
  ]);
  const { code, output } = await doctor;
  client.kill('SIGTERM');
  t.is(code, 1);
  const shown = JSON.parse(/^\{.*^\}/ms.exec(output)?.[0] ?? '') as {
    clients: { mac: string; findings: { kind: string }[] }[];
  };
  t.like(shown.clients, [{ mac: CLIENT_SIDE.mac, findings: [{ kind: 'no-answer' }] }]);
});

test('the certificate of HTTPS: until when it is good, and what mends one that is not', async (t) => {
  const { dir, json } = await newSite(t);
  const made = await makeCertificate(t, 'boot.example'); // good for two days
  const [port, tlsPort] = [await freePort(), await freePort()];
  const tls = { listen: `127.0.0.1:${tlsPort}`, cert: join(made, 'cert.pem'), key: join(made, 'key.pem') };
  const http = { listen: `127.0.0.1:${port}`, tls };
  await writeFile(join(dir, 'rackboot.yaml'), `http: ${JSON.stringify(http)}\n`);
  const told = ((await json('doctor')) as CheckLine[]).find(({ what }) => what === 'HTTPS');
  t.is(told?.state, 'warning');
  t.regex(told?.detail ?? '', /cert\.pem ends on .* GMT$/);
  t.is(told?.mend, 'renew it, then send SIGHUP to rackboot serve');
  const site = await openSite(dir);
  const end = Date.parse(/ends on (.*)$/.exec(told?.detail ?? '')?.[1] ?? '');
  t.like(await checkCertificate(site, end - 30 * 86_400_000), [{ state: 'ok', mend: null }]);
  t.like(await checkCertificate(site, end + 1000), [{ state: 'fault' }]);
  const lost = { ...site.config.http, tls: { ...tls, key: '/nowhere' } };
  t.like(await checkCertificate({ ...site, config: { ...site.config, http: lost } }, end), [
    { state: 'fault' },
  ]);
});
