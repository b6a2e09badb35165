import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import ssh2 from 'ssh2';
import { PowerError } from '../../../src/node/power/errors.js';
import { perform } from '../../../src/node/power/perform.js';
import { sshControl } from '../../../src/node/power/ssh.js';
import type { SshOptions } from '../../../src/ssh/connection.js';
import { SshError, type SshErrorCode } from '../../../src/ssh/errors.js';
import { runProgram } from '../../product/commands.js';
import { type Sshd, startSshd } from '../../ssh/sshd.js';

/** A real sshd that runs, in place of every command, a script which writes it down; `reboot` ends the connection. */
async function machine(t: ExecutionContext): Promise<Sshd & { dir: string; told: () => Promise<string[]> }> {
  const dir = await mkdtemp(join(tmpdir(), 'rackboot-ssh-power-'));
  t.teardown(() => rm(dir, { recursive: true }));
  const script = join(dir, 'forced');
  await writeFile(
    script,
    `#!/bin/sh
echo "$SSH_ORIGINAL_COMMAND" >> "${join(dir, 'told')}"
case "$SSH_ORIGINAL_COMMAND" in
  reboot) kill -KILL $PPID ;;
  broken) echo 'no such thing here' >&2; exit 7 ;;
esac
`,
  );
  await chmod(script, 0o755);
  const sshd = await startSshd(join(dir, 'sshd'), [`ForceCommand ${script}`]);
  t.teardown(() => sshd.stop());
  const told = async (): Promise<string[]> => {
    const text = await readFile(join(dir, 'told'), 'utf8').catch(() => '');
    return text.split('\n').filter((line) => line !== '');
  };
  return { ...sshd, dir, told };
}

const COMMANDS = { reboot: 'reboot', poweroff: 'poweroff' };

function controlOf(
  sshd: Pick<Sshd, 'port' | 'key' | 'knownHosts'>,
  options: SshOptions = {},
  commands = COMMANDS,
) {
  const target = { host: '127.0.0.1', port: sshd.port, user: userInfo().username };
  const usual = { keys: [sshd.key], knownHosts: [sshd.knownHosts] };
  return sshControl(target, { ...usual, ...options }, commands, AbortSignal.timeout(60_000));
}

test('a machine is rebooted and ended by a key, also when that breaks the connection', async (t) => {
  const sshd = await machine(t);
  for (const [verb, result] of [
    ['stat', 'on'],
    ['reset', 'reset'],
    ['boot', 'on reset'],
    ['softoff', 'softoff'],
  ] as const) {
    const control = controlOf(sshd);
    t.is(await perform(control, { verb }), result);
    await control.close();
  }
  t.deepEqual(await sshd.told(), ['reboot', 'reboot', 'poweroff']);
});

test('what ssh cannot do is said before anything is done', async (t) => {
  const sshd = await machine(t);
  for (const deed of [{ verb: 'on' }, { verb: 'nmi' }, { verb: 'reset', next: 'net' }] as const) {
    const control = controlOf(sshd);
    const error = await t.throwsAsync(perform(control, deed), { instanceOf: PowerError });
    await control.close();
    t.is(error.code, 'UNSUPPORTED');
    t.regex(error.message, /cannot be done by ssh: that takes a BMC/);
  }
  t.deepEqual(await sshd.told(), []);
});

test('an agent’s key is used', async (t) => {
  const sshd = await machine(t);
  const socket = join(sshd.dir, 'agent');
  const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: ['ignore', 'pipe', 'ignore'] });
  t.teardown(() => agent.kill('SIGTERM'));
  await once(agent.stdout, 'data');
  await runProgram(['ssh-add', sshd.key], 'openssh-client', { env: { SSH_AUTH_SOCK: socket } });
  const control = controlOf(sshd, { keys: [], agent: socket });
  t.is(await perform(control, { verb: 'stat' }), 'on');
  await control.close();
});

test('a host that is not known, another key than the known one, and a key that is not let in', async (t) => {
  const sshd = await machine(t);
  const other = await machine(t);
  const nobody = join(sshd.dir, 'nobody');
  const changed = join(sshd.dir, 'changed');
  await writeFile(nobody, '');
  await writeFile(changed, `[127.0.0.1]:${sshd.port} ${other.hostKey}\n`);
  const codes: [SshOptions, SshErrorCode][] = [
    [{ knownHosts: [nobody] }, 'UNKNOWN_HOST'],
    [{ knownHosts: [changed] }, 'HOST_KEY_CHANGED'],
    [{ keys: [other.key] }, 'ACCESS_DENIED'],
    [{ keys: [] }, 'ACCESS_DENIED'],
  ];
  for (const [options, code] of codes) {
    const control = controlOf(sshd, options);
    const error = await t.throwsAsync(perform(control, { verb: 'reset' }), { instanceOf: SshError });
    await control.close();
    t.is(error.code, code);
  }
  t.deepEqual(await sshd.told(), []);
});

test('a command that fails there is told with its last line', async (t) => {
  const sshd = await machine(t);
  const control = controlOf(sshd, {}, { reboot: 'broken', poweroff: 'poweroff' });
  const error = await t.throwsAsync(perform(control, { verb: 'reset' }), { instanceOf: PowerError });
  await control.close();
  t.is(error.code, 'REFUSED');
  t.regex(error.message, /'broken' ended with status 7 \(no such thing here\)/);
});

test('nobody there', async (t) => {
  const sshd = await machine(t);
  await sshd.stop();
  const control = controlOf(sshd);
  const error = await t.throwsAsync(control.state(), { instanceOf: SshError });
  await control.close();
  t.is(error.code, 'UNREACHABLE');
});

test('an address that takes connections and says nothing is given up when time is up', async (t) => {
  const sshd = await machine(t);
  const sink = createServer((socket) => void socket.on('error', () => undefined)).listen(0, '127.0.0.1');
  await once(sink, 'listening');
  t.teardown(() => sink.close());
  const { port } = sink.address() as AddressInfo;
  const target = { host: '127.0.0.1', port, user: 'root' };
  const options = { keys: [sshd.key], knownHosts: [sshd.knownHosts], timeoutMs: 600_000 };
  const control = sshControl(target, options, COMMANDS, AbortSignal.timeout(200));
  const error = await t.throwsAsync(control.state(), { instanceOf: PowerError });
  t.is(error.code, 'TIMED_OUT');
  await control.close();
});

test('a connection that is lost before the command was taken is no reboot, afterwards it is', async (t) => {
  const sshd = await machine(t);
  for (const [isTaken, code] of [
    [false, 'UNREACHABLE'],
    [true, undefined],
  ] as const) {
    const server = new ssh2.Server({ hostKeys: [await readFile(sshd.key)] }, (client) => {
      client.on('error', () => undefined);
      client.on('authentication', (request) => request.accept());
      client.on('session', (accept) => {
        accept().on('exec', (take) => {
          if (isTaken) take();
          setImmediate(() => client.end());
        });
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.teardown(() => server.close());
    const { port } = server.address() as AddressInfo;
    const [type, key] = (await readFile(`${sshd.key}.pub`, 'utf8')).split(' ');
    const knownHosts = join(sshd.dir, `known-${port}`);
    await writeFile(knownHosts, `[127.0.0.1]:${port} ${type} ${key}\n`);
    const control = controlOf({ port, key: sshd.key, knownHosts });
    const outcome = await control.press('reset').then(
      () => undefined,
      (error: unknown) => (error as SshError).code,
    );
    await control.close();
    t.is(outcome, code);
  }
});
