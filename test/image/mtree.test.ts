import test from 'ava';
import { ImageError } from '../../src/image/errors.js';
import { mtreeEdits, parseMtree, type MtreeEntry } from '../../src/image/mtree.js';

const parse = (...lines: string[]): Omit<MtreeEntry, 'line'>[] =>
  parseMtree(lines.join('\n'), 'layer/mtree').map(({ line: _line, ...entry }) => entry);

const rows: readonly (readonly [string, readonly string[], readonly object[]])[] = [
  ['nothing', ['#mtree', '', '   # a comment'], []],
  [
    'what bsdtar writes',
    ['#mtree', './f nlink=2 gname=backup time=1795276489.28 mode=4755 gid=34 uid=12 type=file size=1'],
    [{ path: 'f', type: 0o100000, mode: 0o4755, uid: 12, gid: 34, mtime: 1795276489 }],
  ],
  [
    'escapes',
    ['./a\\040b\\012\\\\\\#\\s\\377 type=link link=to\\134x'],
    [{ path: 'a b\n\\# \xff', type: 0o120000, target: 'to\\x' }],
  ],
  [
    'devices',
    [
      './a type=char device=native,5,1',
      './b type=block device=linux,0x103,70000',
      './c type=char device=0x501',
    ],
    [
      { path: 'a', type: 0o020000, rdev: { major: 5, minor: 1 } },
      { path: 'b', type: 0o060000, rdev: { major: 259, minor: 70000 } },
      { path: 'c', type: 0o020000, rdev: { major: 5, minor: 1 } },
    ],
  ],
  [
    'defaults set and unset',
    ['/set uid=5 gid=6 mode=0700', './a type=dir', '/set uid=7', '/unset gid', './b', '/unset all', './c'],
    [
      { path: 'a', type: 0o040000, mode: 0o700, uid: 5, gid: 6 },
      { path: 'b', mode: 0o700, uid: 7 },
      { path: 'c' },
    ],
  ],
  [
    'names given one below another',
    ['. type=dir', '  etc type=dir', '    passwd mode=0600', '  ..', '  ./usr/full uid=1', '  x', '..'],
    [
      { path: '', type: 0o040000 },
      { path: 'etc', type: 0o040000 },
      { path: 'etc/passwd', mode: 0o600 },
      { path: 'usr/full', uid: 1 },
      { path: 'x' },
    ],
  ],
  ['lines that go on', ['./a uid=1 \\', '    gid=2'], [{ path: 'a', uid: 1, gid: 2 }]],
  ['names of root', ['./a uname=root gname=root'], [{ path: 'a', uid: 0, gid: 0 }]],
  [
    'times before 1970',
    ['./a time=-6.500000000', './b time=0'],
    [
      { path: 'a', mtime: -6 },
      { path: 'b', mtime: 0 },
    ],
  ],
  [
    'files that are one',
    ['./a type=file inode=5 resdevice=native,254,0', './b type=dir inode=5'],
    [
      { path: 'a', type: 0o100000, inode: 'native,254,0 5' },
      { path: 'b', type: 0o040000 },
    ],
  ],
];

for (const [title, lines, expected] of rows) {
  test(`mtree: ${title}`, (t) => {
    t.deepEqual(parse(...lines), [...expected] as never);
  });
}

const TAKES = 'type, mode, uid, gid, uname, gname, time, link, device, inode, resdevice';

for (const [line, message] of [
  ['./a tags=x', `keyword tags is not one that a layer can obey; it takes ${TAKES}`],
  ['./a contents=b', `keyword contents is not one that a layer can obey; it takes ${TAKES}`],
  ['./a uid', 'keyword uid has no value; write uid=…'],
  ['./a type=door', 'type=door is not one of file, dir, link, char, block, fifo, socket'],
  ['./a mode=u=rw', 'mode=u=rw is not an octal number; write mode=0755'],
  ['./a mode=17777', 'mode=17777 is not an octal number; write mode=0755'],
  ['./a uid=-1', 'uid=-1 is not a number from 0 to 4294967295'],
  ['./a uid=4294967296', 'uid=4294967296 is not a number from 0 to 4294967295'],
  ['./a uname=daemon', 'uname=daemon without a number; add uid=…'],
  ['./a gname=wheel', 'gname=wheel without a number; add gid=…'],
  ['./a time=noon', 'time=noon is not a number of seconds that cpio holds, -2147483648 to 4294967295'],
  [
    './a type=char device=sda',
    'device=sda is not a device; write device=native,5,1 with its major and minor number',
  ],
  ['./a\\q uid=1', '\\q is not an escape; write \\ooo, three octal digits a byte'],
  [
    '/etc/passwd uid=1',
    "/etc/passwd is neither /set nor /unset; write paths relative to the image's root: ./etc/hello",
  ],
  ['..', '.. without a directory to leave; remove it'],
] as const) {
  test(`refused: ${line}`, (t) => {
    const error = t.throws(() => parse('#mtree', '', line), { instanceOf: ImageError, code: 'BAD_LAYER' });
    t.is(error?.message, `layer/mtree:3: ${message}`);
  });
}

test('what needs no content is made, the rest must be there', (t) => {
  const entries = parseMtree(
    [
      './f type=file uid=1 inode=9',
      './g type=file inode=9',
      './d type=dir',
      './l type=link link=f uid=2',
      './old type=link uid=3',
      './null type=char device=native,1,3 mode=666 time=7',
      './pipe type=fifo',
    ].join('\n'),
    'mtree',
  );
  const edits = mtreeEdits(entries, new Set([entries[1]!.path]), 'layer x: mtree');
  t.deepEqual(
    edits.map((edit) => [edit.op, edit.from.replace('layer x: mtree:', ''), 'path' in edit ? edit.path : '']),
    [
      ['link', '1', 'f'], // g is in the overlay
      ['set', '1', 'f'],
      ['set', '2', 'g'],
      ['put', '3', 'd'],
      ['set', '3', 'd'],
      ['put', '4', 'l'],
      ['set', '5', 'old'],
      ['put', '6', 'null'],
      ['put', '7', 'pipe'],
    ],
  );
  t.like(edits[5], { mode: 0o120777, uid: 2, gid: 0, target: 'f' });
  t.like(edits[7], { mode: 0o020666, mtime: 7, rdev: { major: 1, minor: 3 } });
  t.like(edits[8], { mode: 0o010600 });
});
