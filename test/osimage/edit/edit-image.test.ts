import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { lstat, mkdir, chown, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { runCommand } from '../../cli/in-process.js';
import { program, runProgram, type Ended } from '../../cli/media.js';
import { imageSite } from '../../cli/image-site.js';
import { processesWith } from '../processes-with.js';
import { rootItems } from './root-items.js';

interface Change {
  readonly path: string;
  readonly change: string;
  readonly what: readonly string[];
  readonly after?: { readonly mode: number; readonly uid: number; readonly gid: number };
}

interface Site {
  readonly dir: string;
  readonly work: string;
  readonly run: (...words: string[]) => Promise<Ended>;
  readonly json: <T>(...words: string[]) => Promise<T>;
  /** `path change what…` of every path that the current generation changed. */
  readonly changes: () => Promise<string[]>;
}

/** Runs the program as a user without rights. */
const NOBODY = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups'];
const isRoot = process.getuid?.() === 0;
/** As root, and as a user without rights; where the tests do not run as root, as their own user alone. */
const users: readonly (readonly [string, readonly string[]])[] = isRoot
  ? [
      ['root', []],
      ['nobody', NOBODY],
    ]
  : [['this user', []]];

async function site(t: ExecutionContext, wrapper: readonly string[] = []): Promise<Site> {
  const { dir, work } = await imageSite(t, rootItems());
  if (wrapper.length > 0) await giveAway(work);
  const all = (words: readonly string[]): string[] => ['--site', dir, ...words];
  const run = (...words: string[]): Promise<Ended> =>
    wrapper.length === 0 ? runCommand(all(words)) : runProgram(all(words), wrapper);
  const json = async <T>(...words: string[]): Promise<T> => {
    const { status, out, err } = await run('--json', ...words);
    if (status !== 0) throw new Error(`${words.join(' ')}: ${err}`);
    return JSON.parse(out) as T;
  };
  const changes = async (): Promise<string[]> =>
    (await json<{ paths: readonly Change[] }>('image', 'diff', 'x')).paths.map(({ path, change, what }) =>
      [path, change, ...what].join(' '),
    );
  return { dir, work, run, json, changes };
}

async function giveAway(directory: string): Promise<void> {
  await chown(directory, 65534, 65534);
  for (const name of await readdir(directory, { recursive: true }))
    await chown(join(directory, name), 65534, 65534);
}

/** The mounts of this machine, not of any namespace, that have to do with `directory`. */
const mountsOf = async (directory: string): Promise<string[]> =>
  (await readFile('/proc/self/mounts', 'utf8')).split('\n').filter((line) => line.includes(directory));

const numberOfGenerations = async ({ json }: Site): Promise<number> =>
  (await json<unknown[]>('image', 'history', 'x')).length;

for (const [user, wrapper] of users) {
  test(`as ${user}: one change is one path, one generation and one note`, async (t) => {
    const made = await site(t, wrapper);
    const ended = await made.run('image', 'edit', 'x', '--', 'sh', '-c', 'echo hi > /etc/motd');
    t.is(ended.status, 0, ended.err);
    t.deepEqual(await made.changes(), ['/etc/motd changed content']);
    t.is((await made.run('image', 'cat', 'x', '/etc/motd')).out, 'hi\n');
    const history = await made.json<{ note: string }[]>('image', 'history', 'x');
    t.is(history.length, 2);
    t.is(history[0]?.note, "edit -- sh -c 'echo hi > /etc/motd'");
    t.regex((await made.run('image', 'show', 'x')).out, /change +edit sh -c 'echo hi > \/etc\/motd'/);
    t.deepEqual(await mountsOf(made.work), []);
    t.deepEqual(await readdir(join(made.dir, 'store', 'scratch')), []);
  });

  test(`as ${user}: contents, permissions, links, deletions and changes of type`, async (t) => {
    const made = await site(t, wrapper);
    const script = [
      'b() { busybox "$@"; }',
      'echo more >> /home/one', // both names
      'b chmod 4711 /bin/busybox',
      'b rm /etc/link && b mkdir /etc/link && echo in > /etc/link/in',
      'b mkdir /new && echo a > /new/a && b ln /new/a /new/b && b ln -s a /new/l && b mkfifo /new/p',
      'b rm /etc/passwd',
      'b mkdir /shut && echo s > /shut/secret && b chmod 0 /shut/secret /shut',
      'echo lost > /dev/shm/x',
    ].join('\n');
    const ended = await made.run('image', 'edit', 'x', '--', 'sh', '-ec', script);
    t.is(ended.status, 0, ended.err);
    t.deepEqual(await made.changes(), [
      '/bin/busybox changed mode',
      '/etc/link changed type mode target',
      '/etc/link/in added',
      '/etc/passwd removed',
      '/home/one changed content',
      '/home/two changed content',
      '/new added',
      '/new/a added',
      '/new/b added',
      '/new/l added',
      '/new/p added',
      '/shut added',
      '/shut/secret added',
    ]);
    const files = await made.json<
      { path: string; mode: string; type: string; uid: number; gid: number; nlink: number }[]
    >('image', 'files', 'x');
    const of = (path: string): string => {
      const file = files.find((one) => one.path === path);
      return file === undefined
        ? 'missing'
        : `${file.type}${file.mode} ${file.uid}:${file.gid} ${file.nlink}`;
    };
    t.is(of('/home/one'), '-0644 0:0 2');
    t.is(of('/home/two'), '-0644 0:0 2');
    t.is(of('/home/own'), '-0640 7:8 1');
    t.is(of('/new/a'), '-0644 0:0 2');
    t.is(of('/new/p'), 'p0644 0:0 1');
    t.is(of('/shut/secret'), '-0000 0:0 1');
    t.is(of('/shut'), 'd0000 0:0 2');
    t.is(of('/dev/console'), 'c0600 0:0 1');
    t.is((await made.run('image', 'cat', 'x', '/home/two')).out, 'linked\nmore\n');
    t.is((await made.run('image', 'cat', 'x', '/shut/secret')).out, 's\n');
  });

  test(`as ${user}: a command that fails, is not there or changes nothing makes no generation`, async (t) => {
    const made = await site(t, wrapper);
    for (const [words, status, expected] of [
      [
        ['--', 'sh', '-c', 'echo lost > /etc/motd; exit 3'],
        1,
        /^rackboot: .*ended with status 3; the image stays/m,
      ],
      [
        ['--', 'nonesuch'],
        1,
        /^rackboot: nonesuch: ended with status 127: there is no nonesuch in the image; the/m,
      ],
      [['--', 'sh', '-c', 'kill -9 $$'], 1, /^rackboot: .*killed by signal 9/m],
      [['--', 'true'], 1, /status 127/],
      [['--', 'busybox', 'true'], 0, /^$/],
      [['--', 'busybox', 'touch', '/etc/motd'], 0, /^$/],
      [[], 2, /give a command after --, or --shell/],
      [['--shell', '--', 'ls'], 2, /give a command after --, or --shell/],
    ] as const) {
      const ended = await made.run('image', 'edit', 'x', ...words);
      t.is(ended.status, status, words.join(' '));
      t.regex(ended.err, expected);
      if (status === 0) t.is(ended.out, 'x: the command changed nothing; there is no new generation\n');
    }
    t.is(await numberOfGenerations(made), 1);
    t.deepEqual(await readdir(join(made.dir, 'store', 'scratch')), []);
  });

  test(`as ${user}: the command sees a root of its own, no network, and a clean environment`, async (t) => {
    const made = await site(t, wrapper);
    const script =
      'busybox id -u; busybox ip -o link | busybox wc -l; echo /proc/[0-9]* | busybox wc -w; busybox env; echo tail; busybox ls /; busybox head -c 4 /dev/urandom | busybox wc -c; echo x > /dev/null; exit 9';
    process.env['RACKBOOT_TEST_SECRET'] = 'x';
    const { out } = await made.run('image', 'edit', 'x', '--', 'sh', '-c', script);
    delete process.env['RACKBOOT_TEST_SECRET'];
    const lines = out.split('\n');
    t.deepEqual(lines.slice(0, 2), ['0', '1']);
    t.true(Number(lines[2]) <= 5, `${lines[2]} processes`);
    t.notRegex(out, /SECRET/);
    t.regex(out, /^PATH=\/usr\/local\/sbin:/m);
    t.deepEqual(lines.slice(lines.indexOf('tail') + 1), [
      'bin',
      'dev',
      'etc',
      'home',
      'lib',
      'lib64',
      'proc',
      '4',
      '',
    ]);
  });

  test(`as ${user}: killed in the middle, it leaves no process, no mount and no generation; gc removes the rest`, async (t) => {
    const made = await site(t, wrapper);
    const child = await startSleeper(made, wrapper);
    child.kill('SIGKILL');
    await once(child, 'exit');
    await gone(made.dir);
    t.deepEqual(await mountsOf(made.work), []);
    t.is(await numberOfGenerations(made), 1);
    t.is((await readdir(join(made.dir, 'store', 'scratch'))).length, 1);
    t.is((await made.run('gc')).status, 0);
    t.deepEqual(await readdir(join(made.dir, 'store', 'scratch')), []);
    const again = await made.run('image', 'edit', 'x', '--', 'sh', '-c', 'echo hi > /etc/motd');
    t.is(again.status, 0, again.err);
  });

  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    test(`as ${user}: ${signal} ends the command, says so and leaves nothing`, async (t) => {
      const made = await site(t, wrapper);
      const child = await startSleeper(made, wrapper);
      let err = '';
      child.stderr?.setEncoding('utf8').on('data', (text: string) => (err += text));
      child.kill(signal);
      const [status] = (await once(child, 'close')) as [number | null];
      t.is(status, 1);
      t.regex(err, /^rackboot: sh -c .*: was interrupted; the image stays as it was.*\n$/);
      t.deepEqual(await processesWith(made.dir), []);
      t.deepEqual(await readdir(join(made.dir, 'store', 'scratch')), []);
      t.deepEqual(await mountsOf(made.work), []);
      t.is(await numberOfGenerations(made), 1);
    });
  }
}

/** Starts an edit whose command changes a file and then waits, and comes back when it does. */
async function startSleeper({ dir }: Site, wrapper: readonly string[]): Promise<ChildProcess> {
  const words = [
    '--site',
    dir,
    'image',
    'edit',
    'x',
    '--',
    'sh',
    '-c',
    'echo x > /started; busybox sleep 600',
  ];
  const [file = '', ...rest] = [...wrapper, process.execPath, program, ...words];
  const child = spawn(file, rest, { stdio: ['ignore', 'ignore', 'pipe'] });
  const scratch = join(dir, 'store', 'scratch');
  for (let turn = 0; turn < 1200; turn++) {
    const [name] = await readdir(scratch).catch(() => []);
    if (name !== undefined && (await lstat(join(scratch, name, 'root', 'started')).catch(() => undefined)))
      return child;
    if (child.exitCode !== null) break;
    await sleep(50);
  }
  child.kill('SIGKILL');
  throw new Error('the command did not start');
}

/** Waits until no process has `text` on its command line. */
async function gone(text: string): Promise<void> {
  for (let turn = 0; turn < 400; turn++) {
    if ((await processesWith(text)).length === 0) return;
    await sleep(25);
  }
  throw new Error(`still there: ${(await processesWith(text)).join(' ')}`);
}

test('killed at twelve moments from start to end: nothing or all of it, and nothing stays behind', async (t) => {
  const made = await site(t);
  const started = performance.now();
  t.is((await runProgram(editWords(made, 'echo 0 > /etc/motd'))).status, 0);
  const whole = performance.now() - started;
  for (let turn = 1; turn <= 12; turn++) {
    const before = await numberOfGenerations(made);
    const child = spawn(process.execPath, [program, ...editWords(made, `echo ${turn} > /etc/motd`)], {
      stdio: 'ignore',
    });
    const timer = setTimeout(() => child.kill('SIGKILL'), (turn / 12) * whole);
    await once(child, 'exit');
    clearTimeout(timer);
    await gone(made.dir);
    t.deepEqual(await mountsOf(made.work), []);
    const more = (await numberOfGenerations(made)) - before;
    t.true(more === 0 || more === 1);
    const text = (await made.run('image', 'cat', 'x', '/etc/motd')).out;
    if (more === 1) t.is(text, `${turn}\n`);
    else t.not(text, `${turn}\n`);
  }
  t.is((await made.run('gc')).status, 0);
  t.deepEqual(await readdir(join(made.dir, 'store', 'scratch')), []);
});

const editWords = ({ dir }: Site, script: string): string[] => [
  ...['--site', dir, 'image', 'edit', 'x', '--', 'sh', '-c', script],
];

test('as root, owners and devices are kept too', async (t) => {
  if (!isRoot) {
    t.log('not proved: this needs root');
    t.pass();
    return;
  }
  const made = await site(t);
  const script =
    'busybox chown 5:6 /home/own; busybox mknod /etc/zero c 1 5; busybox chown -h 9:9 /etc/link; busybox mkdir /d; busybox chown 3:4 /d; busybox touch -d "2001-02-03 04:05:06" /d/old';
  const ended = await made.run('image', 'edit', 'x', '--', 'sh', '-ec', script);
  t.is(ended.status, 0, ended.err);
  const { paths } = await made.json<{ paths: readonly (Change & { after?: { device?: string } })[] }>(
    'image',
    'diff',
    'x',
  );
  t.deepEqual(
    paths.map(({ path, change, what, after }) => [
      path,
      change,
      ...what,
      `${after?.uid}:${after?.gid}`,
      after?.device ?? '-',
    ]),
    [
      ['/d', 'added', '3:4', '-'],
      ['/d/old', 'added', '0:0', '-'],
      ['/etc/link', 'changed', 'owner', '9:9', '-'],
      ['/etc/zero', 'added', '0:0', '1:5'],
      ['/home/own', 'changed', 'owner', '5:6', '-'],
    ],
  );
  const [old] = await made.json<{ mtime: number }[]>('image', 'files', 'x', '/d/old');
  t.is(old?.mtime, Date.UTC(2001, 1, 3, 4, 5, 6) / 1000);
});

test('a time that a command sets is a change of its own', async (t) => {
  const made = await site(t);
  const script = 'busybox touch -d "2001-02-03 04:05:06" /etc/motd /etc; busybox touch /etc/passwd';
  const ended = await made.run('image', 'edit', 'x', '--', 'sh', '-ec', script);
  t.is(ended.status, 0, ended.err);
  t.deepEqual(await made.changes(), ['/etc changed time', '/etc/motd changed time']);
  const files = await made.json<{ path: string; mtime: number }[]>('image', 'files', 'x', '/etc/motd');
  t.is(files[0]?.mtime, Date.UTC(2001, 1, 3, 4, 5, 6) / 1000);
  t.is((await made.run('image', 'cat', 'x', '/etc/motd')).out, 'hello\n');
});

test('an edit stays through later builds and other edits, and rollback takes it back', async (t) => {
  const made = await site(t);
  const edit = async (script: string): Promise<void> => {
    const ended = await made.run('image', 'edit', 'x', '--', 'sh', '-ec', script);
    t.is(ended.status, 0, ended.err);
  };
  await edit('echo one > /one; echo hi > /etc/motd');
  await edit('echo two > /two; busybox rm /etc/passwd');
  const layer = join(made.dir, 'layers', 'l', 'overlay');
  await mkdir(layer, { recursive: true });
  const built = await made.run('image', 'build', 'x', '--layers', 'l', '--set', 'k=v');
  t.is(built.status, 0, built.err);
  for (const [path, text] of [
    ['/one', 'one\n'],
    ['/two', 'two\n'],
    ['/etc/motd', 'hi\n'],
  ] as const)
    t.is((await made.run('image', 'cat', 'x', path)).out, text);
  t.not((await made.run('image', 'cat', 'x', '/etc/passwd')).status, 0);
  t.is((await made.run('gc', '--keep', '1')).status, 0);
  await edit('echo three > /three');
  t.is((await made.run('image', 'cat', 'x', '/two')).out, 'two\n');
  t.is((await made.run('image', 'rollback', 'x')).status, 0);
  t.not((await made.run('image', 'cat', 'x', '/three')).status, 0);
  t.is((await made.run('image', 'cat', 'x', '/one')).out, 'one\n');
});

test('the same command on the same image makes the same generation, at any time', async (t) => {
  const ids: string[] = [];
  for (let turn = 0; turn < 2; turn++) {
    const made = await site(t);
    const words = ['--', 'sh', '-c', 'echo hi > /etc/motd; busybox mkdir /d; echo x > /d/x'];
    ids.push((await made.json<{ generation: string }>('image', 'edit', 'x', ...words)).generation);
    await sleep(1100);
  }
  t.is(ids[0], ids[1]);
});

test('--network lends resolv.conf and takes it back; the image’s own stays as it was', async (t) => {
  const made = await site(t);
  const ended = await made.run(
    'image',
    'edit',
    'x',
    '--network',
    '--',
    'sh',
    '-c',
    'busybox cat /etc/resolv.conf; busybox ip -o link | busybox wc -l >&2',
  );
  t.is(ended.status, 0, ended.err);
  const own = await readFile('/etc/resolv.conf', 'utf8').catch(() => '');
  t.is(ended.out, `${own}x: the command changed nothing; there is no new generation\n`);
  t.true(Number(ended.err) >= 1);
});

test('--shell runs the image’s shell on what is typed, whatever the last of it; --json keeps to its result', async (t) => {
  const made = await site(t);
  const child = spawn(
    process.execPath,
    [program, '--site', made.dir, '--json', 'image', 'edit', 'x', '--shell'],
    {
      stdio: ['pipe', 'pipe', 'pipe'],
    },
  );
  let [out, err] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
  child.stdin.end('echo typed > /etc/motd\necho seen\nbusybox false\n');
  const [status] = (await once(child, 'close')) as [number | null];
  t.is(status, 0, err);
  t.is((JSON.parse(out) as { changed: boolean }).changed, true);
  t.regex(err, /seen/);
  t.is((await made.run('image', 'cat', 'x', '/etc/motd')).out, 'typed\n');
  const [newest] = await made.json<{ note: string }[]>('image', 'history', 'x');
  t.is(newest?.note, 'edit --shell');
});

test('a shell that is killed makes no generation', async (t) => {
  const made = await site(t);
  const child = spawn(process.execPath, [program, '--site', made.dir, 'image', 'edit', 'x', '--shell'], {
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  let err = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
  child.stdin.end('echo typed > /etc/motd\nkill -9 $$\n');
  const [status] = (await once(child, 'close')) as [number | null];
  t.is(status, 1);
  t.regex(err, /^rackboot: --shell: ended with status 137: killed by signal 9/m);
  t.is(await numberOfGenerations(made), 1);
});

test('where no namespaces are to be had, one line says what to allow', async (t) => {
  if (!isRoot) {
    t.log('not proved: this needs root');
    t.pass();
    return;
  }
  const made = await site(t, NOBODY);
  const ended = await runProgram(
    ['--site', made.dir, 'image', 'edit', 'x', '--', 'sh', '-c', ':'],
    [
      ...NOBODY,
      ...['unshare', '--user', '--map-user=1000', '--map-group=1000', '--keep-caps', 'sh', '-c'],
      ...['echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"', 'sh'],
    ],
  );
  t.is(ended.status, 1);
  t.regex(
    ended.err,
    /^rackboot: the image cannot be made a root directory: unshare: .*; allow this user user namespaces/,
  );
  t.is(await numberOfGenerations(made), 1);
});
