import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { makeCertificate } from '../pxe/http/made-certificate.js';
import { runSite } from '../pxe/http/running-site.js';

const run = promisify(execFile);

test('the token counts over HTTPS from anywhere, over HTTP from this machine itself only', async (t) => {
  const dir = await makeCertificate(t, 'gate');
  const [cert, key] = [join(dir, 'cert.pem'), join(dir, 'key.pem')];
  const site = await runSite(t, { http: { tls: { listen: '127.0.0.1:0', cert, key } } });
  await site.addNode({ name: 'n1', macs: ['52:54:00:00:00:01'] });
  const put = async (url: string, token: string): Promise<string> => {
    const { stdout } = await run('curl', [
      ...['-s', '-m', '60', '--cacert', cert, '-o', '/dev/null', '-w', '%{http_code}', '-X', 'PUT'],
      ...['-H', 'Content-Type: application/json', '-H', `Authorization: Bearer ${token}`],
      // What a proxy says of a client elsewhere: tests have no other address than loopback.
      ...['-H', 'X-Forwarded-For: 10.0.0.9', '-d', '{"target": "offline"}'],
      `${url}/api/v1/nodes/n1/assignment`,
    ]);
    return stdout;
  };
  t.is(await put(site.url, site.token), '403');
  const https = `https://127.0.0.1:${site.servers.httpsPort ?? 0}`;
  t.is(await put(https, 'x'.repeat(43)), '401');
  t.is(await site.store.nodes.assignment('n1'), undefined);
  t.is(await put(https, site.token), '200');
  t.like(await site.store.nodes.assignment('n1'), { state: 'offline' });
});
