import test from 'ava';
import fc from 'fast-check';
import { sha256 } from '../../src/store/digest.js';
import { StoreError } from '../../src/store/errors.js';
import {
  decodePackFooter,
  decodePackIndex,
  encodePackEnd,
  footerBytes,
  packHeader,
  packSize,
  type PackEntry,
} from '../../src/store/pack-format.js';

function laidOut(sizes: readonly number[]): { entries: PackEntry[]; end: number } {
  let end = packHeader.length;
  const entries = sizes.map((size, number) => {
    const entry = { digest: sha256(`blob ${number}`), offset: end, size };
    end += size;
    return entry;
  });
  return { entries, end };
}

function decode(tail: Buffer, fileSize: number): PackEntry[] {
  const footer = decodePackFooter(tail.subarray(-footerBytes), fileSize);
  return decodePackIndex(tail.subarray(0, -footerBytes), footer);
}

const anySizes = fc.array(fc.nat({ max: 2 ** 40 }), { maxLength: 40 });

test('what a pack says it holds is what was put into it', (t) => {
  fc.assert(
    fc.property(anySizes, (sizes) => {
      const { entries, end } = laidOut(sizes);
      const tail = encodePackEnd(entries, end);
      t.is(end + tail.length, packSize(sizes.length, end - packHeader.length));
      t.deepEqual(decode(tail, end + tail.length), entries);
    }),
  );
});

test('no changed byte of an index or footer goes unseen', (t) => {
  const { entries, end } = laidOut([10, 0, 300]);
  const tail = encodePackEnd(entries, end);
  for (let at = 0; at < tail.length; at++) {
    const changed = Buffer.from(tail);
    changed[at] = changed.readUInt8(at) ^ 0x10;
    t.throws(
      () => decode(changed, end + tail.length),
      { instanceOf: StoreError, code: 'PACK_DAMAGED' },
      `byte ${at}`,
    );
  }
});

test('a pack cut short or grown is damaged', (t) => {
  const { entries, end } = laidOut([10]);
  const tail = encodePackEnd(entries, end);
  for (const length of [0, 1, footerBytes - 1, footerBytes, tail.length - 1]) {
    t.throws(() => decode(tail.subarray(0, length), end + length), { code: 'PACK_DAMAGED' });
  }
  t.throws(() => decode(tail, end + tail.length + 1), { code: 'PACK_DAMAGED' });
});
