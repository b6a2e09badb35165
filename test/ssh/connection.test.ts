import { execFileSync } from 'node:child_process';
import { chmod, copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { connectSsh, shownTarget, type SshOptions } from '../../src/ssh/connection.js';
import { startSshd, type Sshd } from './sshd.js';

let dir = '';
let sshd: Sshd;
const user = userInfo().username;

test.before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'rackboot-ssh-'));
  sshd = await startSshd(join(dir, 'sshd'));
});
test.after.always(async () => {
  await sshd.stop();
  await rm(dir, { recursive: true, force: true });
});

const target = (): { user: string; host: string; port: number } => ({
  user,
  host: '127.0.0.1',
  port: sshd.port,
});
const usual = (): SshOptions => ({ keys: [sshd.key], knownHosts: [sshd.knownHosts] });

async function refused(t: ExecutionContext, options: SshOptions, code: string, text: RegExp): Promise<void> {
  const error = await t.throwsAsync(connectSsh(target(), options), { code });
  t.regex(error.message, text);
  t.notRegex(error.message, /\n/);
}

test('a known host lets a key in', async (t) => {
  const client = await connectSsh(target(), usual());
  const said = await new Promise<string>((resolve, reject) => {
    client.exec('echo "$SSH_CONNECTION"', (error, stream) => {
      if (error !== undefined) return reject(error);
      let text = '';
      stream.on('data', (chunk: Buffer) => (text += chunk.toString())).on('close', () => resolve(text));
    });
  });
  client.end();
  t.regex(said, new RegExp(` 127\\.0\\.0\\.1 ${sshd.port}\n$`));
});

test('an agent is asked', async (t) => {
  const socket = join(dir, 'agent');
  const started = execFileSync('ssh-agent', ['-a', socket]).toString();
  const pid = Number(/SSH_AGENT_PID=(\d+)/.exec(started)?.[1]);
  try {
    execFileSync('ssh-add', ['-q', sshd.key], { env: { ...process.env, SSH_AUTH_SOCK: socket } });
    const client = await connectSsh(target(), { ...usual(), keys: [], agent: socket });
    client.end();
    t.pass();
  } finally {
    process.kill(pid);
  }
});

test('a host that is not known, or by another key, is not spoken to', async (t) => {
  await refused(
    t,
    { ...usual(), knownHosts: [] },
    'UNKNOWN_HOST',
    /ssh-ed25519 SHA256:\S+\).*ssh-keyscan -p \d+ 127/,
  );
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(dir, 'stranger')]);
  const stranger = execFileSync('ssh-keygen', ['-y', '-f', join(dir, 'stranger')]).toString();
  const known = join(dir, 'changed');
  await writeFile(known, `# before\n[127.0.0.1]:${sshd.port} ${stranger}`);
  await refused(
    t,
    { ...usual(), knownHosts: [known] },
    'HOST_KEY_CHANGED',
    /is not the one that is known in .*changed:2 /,
  );
  await writeFile(known, `@revoked * ${sshd.hostKey}\n`);
  await refused(t, { ...usual(), knownHosts: [known] }, 'HOST_KEY_CHANGED', /was revoked in/);
  await refused(t, { ...usual(), keys: [join(dir, 'stranger')] }, 'ACCESS_DENIED', /none of 1 keys/);
  await refused(t, { ...usual(), keys: [] }, 'ACCESS_DENIED', /no key to log in with/);
});

test('keys that cannot be used are named', async (t) => {
  const locked = join(dir, 'locked');
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', 'pass phrase', '-f', locked]);
  await refused(t, { ...usual(), keys: [locked] }, 'BAD_KEY', /locked by a passphrase.*ssh-add/);
  const open = join(dir, 'open');
  await copyFile(sshd.key, open);
  await chmod(open, 0o644);
  await refused(t, { ...usual(), keys: [open] }, 'BAD_KEY', /others may read.*chmod 600/);
  await refused(t, { ...usual(), keys: [`${sshd.key}.pub`] }, 'BAD_KEY', /others may read|no private key/);
  await refused(t, { ...usual(), keys: [join(dir, 'none')] }, 'BAD_KEY', /cannot be read \(ENOENT\)/);
});

test('nobody there', async (t) => {
  const error = await t.throwsAsync(connectSsh({ user, host: '127.0.0.1', port: 1 }, usual()), {
    code: 'UNREACHABLE',
  });
  t.regex(error.message, /ECONNREFUSED/);
});

test('an address of IPv6 is told from its port', (t) => {
  t.is(shownTarget({ user: 'u', host: 'fd00::1', port: 2222 }), 'u@[fd00::1]:2222');
  t.is(shownTarget({ user: 'u', host: 'mn1', port: 22 }), 'u@mn1');
});
