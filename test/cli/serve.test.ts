import { spawn, type ChildProcess } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { newSite } from './in-process.js';
import { freePort } from '../free-port.js';

const program = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

interface Running {
  readonly child: ChildProcess;
  out: string;
  err: string;
  readonly ended: Promise<number | null>;
}

function start(t: ExecutionContext, ...words: string[]): Running {
  const child = spawn(process.execPath, [program, ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  const running: Running = { child, out: '', err: '', ended };
  child.stdout.on('data', (chunk: Buffer) => (running.out += chunk.toString('utf8')));
  child.stderr.on('data', (chunk: Buffer) => (running.err += chunk.toString('utf8')));
  t.teardown(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  return running;
}

async function until(check: () => boolean): Promise<void> {
  for (let attempt = 0; attempt < 1000 && !check(); attempt++)
    await new Promise((resolve) => setTimeout(resolve, 20));
  if (!check()) throw new Error('it did not happen within 20 seconds');
}

test('serve says what it listens on, serves, shows in status --watch, and stops when asked', async (t) => {
  const { dir, rackboot } = await newSite(t);
  const port = await freePort();
  await writeFile(
    join(dir, 'rackboot.yaml'),
    `http: { listen: "127.0.0.1:${port}" }\ntftp: { listen: "127.0.0.1:0" }\n`,
  );
  await rackboot('node', 'add', 'n1', '--mac', '525400000001', '--ip', '127.0.0.1');
  const server = start(t, '--site', dir, 'serve');
  await until(() => server.out.includes('DHCP'));
  t.regex(
    server.out,
    new RegExp(`^HTTP on 127\\.0\\.0\\.1:${port}; nodes reach it at http://127\\.0\\.0\\.1:${port}, `),
  );
  t.regex(server.out, /^TFTP on 127\.0\.0\.1:\d+$/m);
  t.regex(server.out, /^DHCP is off: nothing is answered on any interface/m);

  const watch = start(t, '--site', dir, 'status', '--watch');
  await until(() => watch.out.includes('n1: never seen'));
  await rackboot('nodeset', 'n1', 'osimage=d12');
  await until(() => watch.out.includes('n1: nodeset 0 % (d12@2)'));
  const script = await fetch(`http://127.0.0.1:${port}/nodes/n1/boot.ipxe`);
  t.regex(await script.text(), /d12@/);
  await until(() => watch.out.includes('n1: script 15 % (d12@2)'));
  watch.child.kill('SIGINT');
  t.is(await watch.ended, 0);

  t.regex(
    (await rackboot('status')).out,
    /^NODE +SET TO +STAGE +PROGRESS +SENT +TIME +LAST EVENT\nn1 +d12@2 +script +#\.\.\.\.\. 15 % /,
  );
  const second = start(t, '--site', dir, 'serve');
  t.is(await second.ended, 1);
  t.regex(second.err, /^rackboot: HTTP cannot listen on 127\.0\.0\.1:\d+: the port is in use; [^\n]+\n$/);

  server.child.kill('SIGTERM');
  t.is(await server.ended, 0);
});

test('a site that is none, and a configuration with a mistake, are one line', async (t) => {
  const { dir, rackboot } = await newSite(t);
  await writeFile(join(dir, 'rackboot.yaml'), 'htpp: {}\n');
  const outcome = await rackboot('serve');
  t.is(outcome.status, 1);
  t.regex(
    outcome.err,
    /^rackboot: [^\n]*rackboot\.yaml line 1: unknown key 'htpp'; did you mean 'http'\?[^\n]*\n$/,
  );
});
