import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { promisify } from 'node:util';
import test from 'ava';
import { readCertificate } from '../../../src/pxe/http/certificate.js';
import { packageRoot } from '../../../src/site/assets.js';
import { makeCertificate } from './made-certificate.js';
import { bootFiles, digestOf, runSite, until } from './running-site.js';

const run = promisify(execFile);

/** Whom the certificate at `port` names. */
async function nameAt(port: number): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const { CN } = socket.getPeerCertificate().subject;
  socket.destroy();
  return String(CN);
}

test('HTTPS serves what HTTP does, and HTTP stays', async (t) => {
  const dir = await makeCertificate(t, 'first');
  const [cert, key] = [join(dir, 'cert.pem'), join(dir, 'key.pem')];
  const site = await runSite(t, { http: { tls: { listen: '127.0.0.1:0', cert, key } } });
  const large = randomBytes(5_000_000); // what plain connections are sent without being read
  const id = await site.publish({ name: 'd12', files: { ...bootFiles, large } });
  const port = site.servers.httpsPort ?? 0;
  t.regex(site.servers.announcement[1] ?? '', /^HTTPS on 127\.0\.0\.1:\d+, with a certificate until .* GMT$/);
  for (const url of [`https://127.0.0.1:${port}`, site.url]) {
    const { stdout } = await run('curl', ['-sf', '--cacert', cert, `${url}/images/d12@${id}/files/linux`], {
      encoding: 'buffer',
      maxBuffer: 1 << 26,
    });
    t.is(digestOf(stdout), digestOf(bootFiles.linux), url);
    const whole = await run('curl', ['-sf', '--cacert', cert, `${url}/images/d12@${id}/files/large`], {
      encoding: 'buffer',
      maxBuffer: 1 << 26,
    });
    t.is(digestOf(whole.stdout), digestOf(large), url);
  }
  await t.throwsAsync(
    run('curl', ['-sf', '--cacert', cert, '--tls-max', '1.1', `https://127.0.0.1:${port}/healthz`]),
  );
  const plain = await run('curl', [
    '-s',
    '-o',
    '/dev/null',
    '-w',
    '%{http_code}',
    `http://127.0.0.1:${port}/`,
  ]).catch(() => undefined);
  t.not(plain?.stdout, '200');

  const next = await makeCertificate(t, 'second');
  await copyFile(join(next, 'cert.pem'), cert);
  await site.servers.reload();
  t.is(await nameAt(port), 'first');
  const complaint = site.log.join('');
  t.regex(complaint, /HTTPS keeps the certificate it has: .*key\.pem do not make a certificate with its key/);
  await copyFile(join(next, 'key.pem'), key);
  await site.servers.reload();
  t.is(await nameAt(port), 'second');
  const secret = (await readFile(key, 'utf8')).split('\n')[1] ?? '';
  t.true(secret.length > 30);
  t.false(site.log.join('').includes(secret));
});

test('rackboot serve reads the certificate again on SIGHUP', async (t) => {
  const dir = await makeCertificate(t, 'first');
  await writeFile(
    join(dir, 'rackboot.yaml'),
    'http: { listen: "127.0.0.1:0", tls: { listen: "127.0.0.1:0", cert: cert.pem, key: key.pem } }\n',
  );
  const server = spawn(
    process.execPath,
    [join(packageRoot(), 'dist/src/cli/main.js'), '--site', dir, 'serve'],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let out = '';
  server.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  server.stderr.on('data', (chunk: Buffer) => (out += chunk.toString()));
  t.teardown(async () => {
    if (server.exitCode !== null) return;
    server.kill('SIGKILL');
    await once(server, 'exit');
  });
  await until(() => /^HTTPS on /m.test(out));
  const port = Number(/^HTTPS on 127\.0\.0\.1:(\d+)/m.exec(out)?.[1]);
  t.is(await nameAt(port), 'first');
  const next = await makeCertificate(t, 'second');
  for (const file of ['cert.pem', 'key.pem']) await copyFile(join(next, file), join(dir, file));
  server.kill('SIGHUP');
  await until(() => out.includes('HTTPS has a certificate until'));
  t.is(await nameAt(port), 'second');
  server.kill('SIGTERM');
  const [code] = (await once(server, 'exit')) as [number | null];
  t.is(code, 0);
});

test('a certificate that is none is one line that names the file and its setting', async (t) => {
  const dir = await makeCertificate(t, 'first');
  const [cert, key] = [join(dir, 'cert.pem'), join(dir, 'key.pem')];
  await t.throwsAsync(readCertificate(join(dir, 'nope'), key), {
    name: 'PxeError',
    message:
      /nope cannot be read \(ENOENT\); put a PEM file there, or change http\.tls\.cert in rackboot\.yaml$/,
  });
  for (const [first, second] of [
    [key, key],
    [cert, cert],
    [join(dir, 'text'), key],
  ] as const) {
    await writeFile(join(dir, 'text'), 'no PEM');
    await t.throwsAsync(readCertificate(first, second), {
      code: 'BAD_CERTIFICATE',
      message: /do not make a certificate with its key/,
    });
  }
});
