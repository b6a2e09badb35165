import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, cp, mkdir, mkdtemp, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { canMakeLab, Lab } from '../../src/demo/lab.js';

const source = fileURLToPath(new URL('../../src/', import.meta.url));

async function withLab(body: (lab: Lab) => Promise<void>): Promise<void> {
  const lab = await Lab.open();
  try {
    await body(lab);
  } finally {
    await lab.close();
  }
}

async function stdout(lab: Lab, ...argv: string[]): Promise<string> {
  const { code, stdout, stderr } = await lab.run(argv);
  if (code !== 0) throw new Error(`${argv.join(' ')}: ${stderr}`);
  return stdout;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function assertGone(t: ExecutionContext, pids: readonly number[]): Promise<void> {
  for (let round = 0; round < 100 && pids.some(isAlive); round++) await sleep(50);
  t.deepEqual(pids.filter(isAlive), []);
}

test('a lab can be made here', async (t) => {
  const rights = await canMakeLab();
  t.true(rights.ok, rights.ok ? '' : `${rights.reason}; ${rights.mend}`);
});

test('a lab holds a bridge with the server’s address, no route out and no IPv6', async (t) => {
  await withLab(async (lab) => {
    const tap = await lab.addTap();
    t.regex(
      await stdout(lab, 'ip', '-4', '-o', 'address', 'show', 'dev', lab.interface),
      /inet 10\.77\.0\.1\/24 /,
    );
    t.regex(await stdout(lab, 'ip', '-o', 'link', 'show', 'dev', tap), / master lab0 /);
    t.is(
      (await stdout(lab, 'ip', 'route')).trim(),
      '10.77.0.0/24 dev lab0 proto kernel scope link src 10.77.0.1 linkdown',
    );
    t.is(await stdout(lab, 'ip', '-6', 'address'), '');
    const links = await stdout(lab, 'ip', '-br', 'link');
    t.deepEqual(
      links
        .trim()
        .split('\n')
        .map((line) => line.split(/\s+/)[0])
        .sort(),
      ['lab0', 'lo', tap],
    );
    await lab.removeTap(tap);
    t.not((await lab.run(['ip', 'link', 'show', 'dev', tap])).code, 0);
  });
});

test('labs do not see one another', async (t) => {
  await withLab(async (one) => {
    await withLab(async (other) => {
      const tap = await one.addTap();
      t.not((await other.run(['ip', 'link', 'show', 'dev', tap])).code, 0);
      t.not(
        await stdout(one, 'readlink', '/proc/self/ns/net'),
        await stdout(other, 'readlink', '/proc/self/ns/net'),
      );
      t.not((await stdout(one, 'readlink', '/proc/self/ns/net')).trim(), await readlink('/proc/self/ns/net'));
    });
  });
});

test('a command in the lab gets its input, and its end is bounded', async (t) => {
  await withLab(async (lab) => {
    t.deepEqual(await lab.run(['sh', '-c', 'cat; echo oops >&2; exit 3'], { input: 'hello' }), {
      code: 3,
      stdout: 'hello',
      stderr: 'oops\n',
    });
    t.is((await lab.run(['sleep', '600'], { withinMs: 100 })).code, null);
  });
});

/** Starts a process in the lab and a daemon of its own, and gives the ids of both. */
const family = [
  'sh',
  '-c',
  '(setsid sleep 600 </dev/null >/dev/null 2>&1 & echo $!); echo $$; exec sleep 600',
];

async function readPids(stream: NodeJS.ReadableStream, count: number): Promise<number[]> {
  const pids: number[] = [];
  for await (const line of createInterface({ input: stream })) {
    pids.push(Number(line));
    if (pids.length === count) break;
  }
  return pids;
}

test('closing a lab ends what runs in it, daemons too, and nothing starts in it afterwards', async (t) => {
  const lab = await Lab.open();
  const child = lab.spawn(family, { stdio: ['ignore', 'pipe', 'ignore'] });
  const pids = child.stdout === null ? [] : await readPids(child.stdout, 2);
  t.true(pids.every(isAlive));
  await lab.close();
  await lab.close();
  await assertGone(t, pids);
  t.throws(() => lab.spawn(['true']), { code: 'LAB_FAILED' });
});

test('a lab ends with the process that made it, even when that is killed', async (t) => {
  const program = `
    import { Lab } from ${JSON.stringify(join(source, 'demo/lab.js'))};
    const lab = await Lab.open();
    lab.spawn(${JSON.stringify(family)}, { stdio: ['ignore', 'inherit', 'ignore'] });
    setInterval(() => {}, 1000);`;
  const parent = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const pids = await readPids(parent.stdout, 2);
  t.true(pids.length === 2 && pids.every(isAlive));
  parent.kill('SIGKILL');
  await assertGone(t, pids);
});

test('without its programs a lab is refused on one line with the mend', async (t) => {
  const program = `
    import { canMakeLab } from ${JSON.stringify(join(source, 'demo/lab.js'))};
    process.env.PATH = '/nonexistent';
    console.log(JSON.stringify(await canMakeLab()));`;
  const rights = await rightsOf([process.execPath, '--input-type=module', '-e', program]);
  t.deepEqual(rights, {
    ok: false,
    reason: 'spawn unshare ENOENT',
    mend: rights.mend,
  });
  t.regex(rights.mend, /run as root/);
});

interface Rights {
  readonly ok: boolean;
  readonly how?: string;
  readonly reason: string;
  readonly mend: string;
}

async function rightsOf(argv: readonly string[]): Promise<Rights> {
  const [program = '', ...rest] = argv;
  const child = spawn(program, rest, {
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: 60_000,
    killSignal: 'SIGKILL',
  });
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
  await once(child, 'close');
  return JSON.parse(said) as Rights;
}

/** canMakeLab as another user sees it, where /dev/net/tun has the permissions `tun`. Needs root, which is given back. */
async function rightsAsNobody(tun: '600' | '666'): Promise<Rights> {
  const dir = await mkdtemp(join(tmpdir(), 'rackboot-lab-'));
  try {
    // The checkout may lie where only root can read it.
    await chmod(dir, 0o755);
    await mkdir(join(dir, 'src'));
    await cp(join(source, 'demo'), join(dir, 'src/demo'), { recursive: true });
    await cp(join(source, 'errors.js'), join(dir, 'src/errors.js'));
    await writeFile(join(dir, 'package.json'), '{"type":"module"}');
    await writeFile(
      join(dir, 'rights.js'),
      "import { canMakeLab } from './src/demo/lab.js';\nconsole.log(JSON.stringify(await canMakeLab()));\n",
    );
    const drop = [
      'setpriv',
      '--reuid=65534',
      '--regid=65534',
      '--clear-groups',
      process.execPath,
      'rights.js',
    ];
    const script = `mount -t tmpfs -o mode=755 tmpfs /dev/net && mknod -m ${tun} /dev/net/tun c 10 200 && cd ${dir} && exec ${drop.join(' ')}`;
    return await rightsOf(['unshare', '--mount', 'sh', '-c', script]);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

if (process.getuid?.() === 0) {
  test('a user without rights makes a lab in a user namespace', async (t) => {
    t.deepEqual(await rightsAsNobody('666'), { ok: true, how: 'user namespace' });
  });

  test('a user who may not open /dev/net/tun is told so', async (t) => {
    const rights = await rightsAsNobody('600');
    t.false(rights.ok);
    t.is(rights.reason.trim(), 'open: Permission denied');
    t.regex(rights.mend, /\/dev\/net\/tun/);
  });
} else {
  test('this user’s lab is in a user namespace', async (t) => {
    await withLab(async (lab) => {
      t.is(lab.how, 'user namespace');
    });
  });
}
