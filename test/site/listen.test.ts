import test from 'ava';
import { parsePorts } from '../../src/site/listen.js';

for (const [text, ports] of [
  ['any', { kind: 'any' }],
  ['single', { kind: 'single' }],
  ['50000-50999', { kind: 'range', first: 50000, last: 50999 }],
  ['1-65535', { kind: 'range', first: 1, last: 65535 }],
  ['7-7', { kind: 'range', first: 7, last: 7 }],
] as const) {
  test(`${text} are ports`, (t) => t.deepEqual(parsePorts(text), ports));
}

for (const text of ['', '7', '0-7', '8-7', '1-65536', '1-', '-7', '1-2-3', 'Any', ' 1-2']) {
  test(`'${text}' is refused`, (t) => {
    t.throws(() => parsePorts(text), { instanceOf: RangeError, message: /is not any, single or a range/ });
  });
}
