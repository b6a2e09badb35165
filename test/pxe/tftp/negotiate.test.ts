import test from 'ava';
import { DEFAULT_LIMITS } from '../../../src/pxe/tftp/limits.js';
import { negotiate } from '../../../src/pxe/tftp/negotiate.js';
import type { TftpMode } from '../../../src/pxe/tftp/packet.js';

const SIZE = 173792;

const rows: readonly [
  asked: string,
  accepted: string,
  blksize: number,
  windowsize: number,
  mode?: TftpMode,
][] = [
  ['', '', 512, 1],
  ['tsize=0', 'tsize=173792', 512, 1],
  ['tsize=99', 'tsize=173792', 512, 1],
  ['tsize=0', '', 512, 1, 'netascii'],
  ['tsize=0 blksize=1468 windowsize=4', 'tsize=173792 blksize=1468 windowsize=4', 1468, 4],
  ['windowsize=4 tsize=0', 'windowsize=4 tsize=173792', 512, 4],
  ['blksize=8', 'blksize=8', 8, 1],
  ['blksize=7', '', 512, 1],
  ['blksize=65464', 'blksize=65464', 65464, 1],
  ['blksize=65465', '', 512, 1],
  ['blksize=-1', '', 512, 1],
  ['blksize=1e3', '', 512, 1],
  ['blksize=', '', 512, 1],
  ['blksize=99999999999999999999', '', 512, 1],
  ['windowsize=64', 'windowsize=64', 512, 64],
  ['windowsize=65', 'windowsize=64', 512, 64],
  ['windowsize=65535', 'windowsize=64', 512, 64],
  ['windowsize=0', '', 512, 1],
  ['windowsize=65536', '', 512, 1],
  ['blksize=65464 windowsize=64', 'blksize=65464 windowsize=4', 65464, 4],
  ['timeout=3', 'timeout=3', 512, 1],
  ['timeout=0', '', 512, 1],
  ['timeout=61', '', 512, 1],
  ['multicast= utimeout=5 rollover=0', '', 512, 1],
];
for (const [asked, accepted, blksize, windowsize, mode = 'octet'] of rows) {
  test(`"${asked}" in ${mode} gives "${accepted}"`, (t) => {
    const options = new Map(asked.split(' ').map((pair) => pair.split('=') as [string, string]));
    const terms = negotiate({ kind: 'rrq', filename: 'a', mode, options }, SIZE, DEFAULT_LIMITS);
    t.is([...(terms.accepted ?? [])].map((pair) => pair.join('=')).join(' '), accepted);
    t.is(terms.accepted === undefined, accepted === '');
    t.like(terms, { blksize, windowsize });
  });
}

test('a smaller limit of the server is what the client is told', (t) => {
  const options = new Map([
    ['blksize', '9000'],
    ['windowsize', '32'],
  ]);
  const limits = { ...DEFAULT_LIMITS, blksize: 1408, windowsize: 8 };
  const terms = negotiate({ kind: 'rrq', filename: 'a', mode: 'octet', options }, SIZE, limits);
  t.deepEqual(
    [...(terms.accepted ?? [])],
    [
      ['blksize', '1408'],
      ['windowsize', '8'],
    ],
  );
});
