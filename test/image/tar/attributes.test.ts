import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import type { PlacedEntry } from '../../../src/image/archive-index.js';
import { loadEntries } from '../../../src/image/archive-index.js';
import { zeroCounts } from '../../../src/image/segment-writer.js';
import { spliceArchive } from '../../../src/image/splice.js';
import { withPermissions } from '../../../src/image/tar/attributes.js';
import { pathFromText, pathToText } from '../../../src/image/cpio/path.js';
import type { Edit } from '../../../src/image/edit.js';
import { decodePax } from '../../../src/image/tar/pax.js';
import { MemoryBlobs } from '../memory-blobs.js';
import { inDirectory, output } from '../programs.js';
import { chmod, fileOf, put, read, remove } from '../splicing.js';

const ACL = 'user::rw-,user:1000:rw-,group::r--,mask::rw-,other::r--';
/** What `file` has besides its content, as GNU tar tells it. */
const RECORDS = {
  'SCHILY.xattr.user.note': 'kept',
  'SCHILY.xattr.security.capability': '\x01\x00\x00\x02 and so on',
  'RHT.security.selinux': 'system_u:object_r:bin_t:s0',
  'SCHILY.acl.access': ACL,
  atime: '1600000000.5',
};

/** A tar archive with `file`, which has RECORDS, its other name `same`, and `bare`, which has none. */
async function makeTar(dir: string): Promise<Buffer> {
  const program = `
import sys, tarfile
records = ${JSON.stringify(RECORDS)}
with tarfile.open(sys.argv[1], 'w', format=tarfile.PAX_FORMAT) as tar:
    for name, kind, pax in (('file', b'0', records), ('same', b'1', {}), ('bare', b'0', {})):
        info = tarfile.TarInfo(name)
        info.type, info.mtime, info.mode, info.pax_headers, info.uname = kind, 1700000000.25, 0o664, pax, 'somebody'
        if kind == b'1': info.linkname = 'file'
        info.size = 3 if kind == b'0' else 0
        import io
        tar.addfile(info, io.BytesIO(b'old'))
`;
  await writeFile(path.join(dir, 'make.py'), program);
  await output('python3', [path.join(dir, 'make.py'), path.join(dir, 'x.tar')]);
  return output('cat', [path.join(dir, 'x.tar')]);
}

interface Spliced {
  readonly records: (name: string) => Readonly<Record<string, string>>;
  readonly lost: readonly string[];
  readonly file: Buffer;
}

async function splice(tar: Buffer, edits: readonly Edit[]): Promise<Spliced> {
  const blobs = new MemoryBlobs();
  const lost: string[] = [];
  const edited = await spliceArchive(await read(tar, blobs), edits, {
    ...{ blobs, writer: blobs, counts: zeroCounts(), mtime: 5, earlier: [] },
    onCapabilityLost: (at) => lost.push(pathToText(at)),
  });
  const file = fileOf(edited, blobs);
  const entries = new Map<string, PlacedEntry>(
    (await loadEntries(edited, blobs)).map((entry) => [entry.path, entry]),
  );
  return {
    lost,
    file,
    records(name) {
      const { offset, tar: facts } = entries.get(name)!;
      if (facts!.head === 512) return {};
      const size = Number.parseInt(file.toString('latin1', offset + 124, offset + 135), 8);
      return Object.fromEntries(decodePax(file.subarray(offset + 512, offset + 512 + size), 0));
    },
  };
}

const link = (from: string, to: string): Edit => ({
  op: 'link',
  path: pathFromText(from),
  to: pathFromText(to),
  from: 'test',
});

const { 'SCHILY.xattr.security.capability': CAPABILITY, atime: _atime, ...ATTRIBUTES } = RECORDS;

test('new content keeps extended attributes, ACLs and labels, as cp onto the file would, but no capabilities', async (t) => {
  await inDirectory(async (dir) => {
    const tar = await makeTar(dir);
    for (const edits of [
      [put('/file', 'new', 0o100664)],
      [put('/file', 'new', 0o100664), put('/file', 'newer', 0o100664)],
      [put('/same', 'new', 0o100664)], // becomes a file of its own
      [remove('/file'), put('/same', 'new', 0o100664)],
    ]) {
      const { records, lost, file } = await splice(tar, edits);
      const name =
        edits.at(-1)!.op === 'put' && 'path' in edits.at(-1)! ? (edits.at(-1) as { path: string }).path : '';
      t.deepEqual({ ...records(name) }, ATTRIBUTES, JSON.stringify(edits));
      t.deepEqual(lost, [`/${name}`]);
      t.is(
        (await output('tar', ['-xOf', '-', name], file)).toString(),
        edits.length === 2 && edits[0]!.op === 'put' ? 'newer' : 'new',
      );
    }
  });
});

test('what is deleted before, or no file any more, has none of the old ones', async (t) => {
  await inDirectory(async (dir) => {
    const tar = await makeTar(dir);
    const gone = await splice(tar, [remove('/same'), remove('/file'), put('/file', 'new')]);
    t.deepEqual([gone.records('file'), gone.lost], [{}, []]);
    const target = { ...put('/file', 'bare', 0o120777), target: 'bare' } as Edit;
    const linked = await splice(tar, [target]);
    t.deepEqual([linked.records('file'), linked.lost], [{}, []]);
    const put1 = await splice(tar, [put('/bare', 'new')]);
    t.deepEqual([put1.records('bare'), put1.lost], [{}, []]);
  });
});

test('the same content keeps all: capabilities and exact times too', async (t) => {
  await inDirectory(async (dir) => {
    const tar = await makeTar(dir);
    const records = (await splice(tar, [chmod('/file', 0o664 | 0o4000)])).records('file');
    t.is(records['SCHILY.xattr.security.capability'], CAPABILITY);
    t.is(records['mtime'], '1700000000.25');
    t.is(records['atime'], RECORDS.atime);
    const renamed = await splice(tar, [link('/again', '/file'), remove('/file'), remove('/same')]);
    t.is(renamed.records('again')['SCHILY.xattr.security.capability'], CAPABILITY);
    t.deepEqual(renamed.lost, []);
    const other = await splice(tar, [put('/same', 'own', 0o100664)]);
    t.is(other.records('file')['SCHILY.xattr.security.capability'], CAPABILITY, 'the other name');
  });
});

test('chmod reaches into the ACL, which would undo it', async (t) => {
  await inDirectory(async (dir) => {
    const { records } = await splice(await makeTar(dir), [chmod('/file', 0o750)]);
    t.is(records('file')['SCHILY.acl.access'], 'user::rwx,user:1000:rw-,group::r--,mask::r-x,other::---');
  });
});

const ACLS: readonly (readonly [string, number, string])[] = [
  ['user::rw-,group::r--,other::r--', 0o751, 'user::rwx,group::r-x,other::--x'],
  ['user::rw-\ngroup::r--\nother::r--\n', 0o000, 'user::---\ngroup::---\nother::---\n'],
  ['u::rw-,u:lisa:rw-:1000,g::r--,m::rw-,o::r--', 0o600, 'u::rw-,u:lisa:rw-:1000,g::r--,m::---,o::---'],
];

test('ACLs follow permissions in every form that there is', (t) => {
  for (const [before, mode, after] of ACLS)
    t.deepEqual(
      [...withPermissions(new Map([['SCHILY.acl.access', before]]), mode)],
      [['SCHILY.acl.access', after]],
    );
  const entry = (tag: number, bits: number): number[] => [tag, 0, bits, 0, 255, 255, 255, 255];
  const bytes = (...entries: number[][]): string =>
    Buffer.from([2, 0, 0, 0, ...entries.flat()]).toString('latin1');
  const key = 'SCHILY.xattr.system.posix_acl_access';
  const before = bytes(entry(1, 6), entry(2, 6), entry(4, 4), entry(16, 6), entry(32, 4));
  const after = bytes(entry(1, 7), entry(2, 6), entry(4, 4), entry(16, 5), entry(32, 0));
  t.deepEqual([...withPermissions(new Map([[key, before]]), 0o750)], [[key, after]]);
});

test('a squashfs keeps the extended attributes of a file that is put', async (t) => {
  await inDirectory(async (dir) => {
    const made = path.join(dir, 'made');
    await output('tar2sqfs', ['-q', made], await makeTar(dir));
    const { file, lost } = await splice(await output('cat', [made]), [
      remove('/same'),
      put('/file', 'new', 0o100664),
    ]);
    await writeFile(path.join(dir, 'edited'), file);
    const tar = (await output('sqfs2tar', [path.join(dir, 'edited')])).toString('latin1');
    t.true(tar.includes('SCHILY.xattr.user.note=kept'));
    t.false(tar.includes('security.capability'));
    t.deepEqual(lost, ['/file']);
  });
});
