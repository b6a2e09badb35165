import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { newSite } from '../../cli/in-process.js';
import { served } from '../../cli/served.js';

type Member = readonly [name: string, kind: 'file' | 'link', text: string];

/** A tar archive as python writes it, in order. */
function makeTar(file: string, members: readonly Member[]): void {
  const script = `
import io, json, sys, tarfile
with tarfile.open(sys.argv[1], "w") as tar:
    for name, kind, text in json.loads(sys.argv[2]):
        member = tarfile.TarInfo(name)
        member.mode = 0o644
        if kind == "link":
            member.type, member.linkname = tarfile.LNKTYPE, text
            tar.addfile(member)
        else:
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
`;
  execFileSync('python3', ['-c', script, file, JSON.stringify(members)]);
}

async function imported(t: ExecutionContext, members: readonly Member[]) {
  const { dir, rackboot } = await newSite(t);
  const work = join(dir, '..');
  const file = join(work, 'x.tar');
  makeTar(file, members);
  const first = await rackboot('image', 'import', file, '--name', 'x');
  let count = 0;
  /** What a program makes of the archive that a node downloads: names and contents, \`=\` for names of one file. */
  const extracted = async (program: readonly string[]): Promise<Record<string, string>> => {
    const out = join(work, `out${count++}`);
    mkdirSync(out);
    const now = join(work, 'now.tar');
    writeFileSync(now, await served(dir, 'x', 'x.tar'));
    const [name = '', ...words] = program;
    execFileSync(name, [...words, '-xf', now], { cwd: out });
    const names = readdirSync(out).sort();
    const seen = new Map<number, string>();
    return Object.fromEntries(
      names.map((each) => {
        const { ino } = statSync(join(out, each));
        const other = seen.get(ino);
        seen.set(ino, other ?? each);
        return [each, other === undefined ? readFileSync(join(out, each), 'utf8') : `= ${other}`];
      }),
    );
  };
  return { work, rackboot, first, extracted };
}

const READERS = [['tar'], ['bsdtar'], ['busybox', 'tar']] as const;

test('a link of a file to itself changes nothing, and no edit writes one', async (t) => {
  const site = await imported(t, [
    ['a', 'file', 'one\n'],
    ['a', 'link', 'a'],
    ['./c', 'file', 'three\n'],
    ['d', 'link', 'c'],
    ['c', 'link', './d'],
  ]);
  t.is(site.first.status, 0, site.first.err);
  t.deepEqual(await site.extracted(['tar']), { a: 'one\n', c: 'three\n', d: '= c' });
  t.is((await site.rackboot('image', 'cat', 'x', '/a')).out, 'one\n');
  t.is((await site.rackboot('image', 'chmod', 'x', '600', '/a')).status, 0);
  t.is((await site.rackboot('image', 'delete', 'x', '/d')).status, 0);
  t.is((await site.rackboot('image', 'cat', 'x', '/c')).out, 'three\n');
  const now = execFileSync('tar', ['-tvf', '-'], {
    input: await served(join(site.work, 'site'), 'x', 'x.tar'),
  });
  t.notRegex(now.toString(), /^h/m);
  for (const reader of READERS)
    t.deepEqual(await site.extracted(reader), { a: 'one\n', c: 'three\n' }, reader.join(' '));
  writeFileSync(join(site.work, 'new'), 'new\n');
  t.is((await site.rackboot('image', 'put', 'x', `${join(site.work, 'new')}:/c`)).status, 0);
  for (const reader of READERS)
    t.deepEqual(await site.extracted(reader), { a: 'one\n', c: 'new\n' }, reader.join(' '));
});

test('a link to itself where no file is yet is refused, as GNU tar cannot make it', async (t) => {
  const { first } = await imported(t, [
    ['a', 'link', 'a'],
    ['b', 'file', 'two\n'],
  ]);
  t.is(first.status, 1);
  t.regex(
    first.err,
    /\/a at offset 0 is a hard link to \/a, which does not stand before it; write the archive again\n$/,
  );
});
