import test from 'ava';
import { parseListen, parsePorts } from '../../src/site/listen.js';

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

for (const [text, host, port] of [
  ['127.0.0.1:8080', '127.0.0.1', 8080],
  ['[::1]:69', '::1', 69],
  ['[fe80::1%eth0.7]:69', 'fe80::1%eth0.7', 69],
] as const) {
  test(`${text} is an address and a port`, (t) => t.deepEqual(parseListen(text), { host, port }));
}

for (const text of [
  'fe80::1%eth0:69',
  '[fe80::1%]:69',
  '[fe80::1%eth0/x]:69',
  '127.0.0.1%eth0:69',
  '[::1]:65536',
]) {
  test(`${text} is neither`, (t) => {
    t.throws(() => parseListen(text), { instanceOf: RangeError });
  });
}
