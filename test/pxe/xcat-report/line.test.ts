import test from 'ava';
import fc from 'fast-check';
import { readReportLine } from '../../../src/pxe/xcat-report/line.js';

for (const [line, expected] of [
  ['next', { kind: 'next' }],
  [' next\r', { kind: 'next' }],
  ['donext', { kind: 'next' }],
  ['installstatus booted', { kind: 'status', stages: ['booted'] }],
  ['installstatus Installing netbooting', { kind: 'status', stages: ['installing', 'netbooting'] }],
  ['installstatus a b c d e f', { kind: 'status', stages: ['a', 'b', 'c', 'd'] }],
  ['installstatus ../x', { kind: 'status', stages: [] }],
  ['installstatus', { kind: 'status', stages: [] }],
  ['unlocktftpdir', { kind: 'nothing' }],
  ['getpostscript', { kind: 'foreign', word: 'getpostscript' }],
  ['', { kind: 'nothing' }],
  [' \r', { kind: 'nothing' }],
] as const) {
  test(`line ${JSON.stringify(line)}`, (t) => {
    t.deepEqual(readReportLine(line), expected);
  });
}

test('any line is something', (t) => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (line) => {
      const read = readReportLine(line);
      t.regex(read.kind, /^(?:next|status|nothing|foreign)$/);
      if (read.kind === 'foreign') t.regex(read.word, /^[\x21-\x7e]{1,40}$/);
    }),
  );
});
