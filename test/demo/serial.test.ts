import test from 'ava';
import fc from 'fast-check';
import { SerialTranscript } from '../../src/demo/serial.js';

function transcript(): SerialTranscript {
  return new SerialTranscript('n1', () => 7);
}

for (const [name, raw, text] of [
  ['plain lines', 'one\r\ntwo\r\n', 'one\ntwo\n'],
  ['colours', '\x1b[0;1miPXE\x1b[0m ok\n', 'iPXE ok\n'],
  ['cursor movement and clearing', '\x1bc\x1b[?7l\x1b[2JSeaBIOS\x1b[24;1H', 'SeaBIOS'],
  ['a window title', '\x1b]0;title\x07after', 'after'],
  ['character sets and keypad modes', '\x1b(B\x1b)0\x1b=text\x1b>', 'text'],
  ['backspaces and shifts', 'ab\b\x0e\x0fc', 'abc'],
  ['carriage returns alone', '10%\r20%\r', '10%\n20%\n'],
  ['doubled carriage returns', 'line\r\r\nnext', 'line\nnext'],
] as const) {
  test(`text without terminal control: ${name}`, (t) => {
    const serial = transcript();
    serial.feed(raw);
    t.is(serial.text, text);
  });
}

test('how output is cut into chunks does not matter, line ends apart', (t) => {
  const piece = fc.constantFrom(
    'word',
    ' ',
    '\n',
    '\x1b[1;31m',
    '\x1b[2J',
    '\x1b]2;t\x07',
    '\x1b(B',
    '\x1bc',
    '\b',
    '%',
  );
  fc.assert(
    fc.property(fc.array(piece), fc.array(fc.nat(60)), (pieces, cuts) => {
      const raw = pieces.join('');
      const whole = transcript();
      whole.feed(raw);
      const parts = transcript();
      let at = 0;
      for (const cut of cuts) {
        parts.feed(raw.slice(at, at + cut));
        at += cut;
      }
      parts.feed(raw.slice(at));
      t.is(parts.text, whole.text);
    }),
  );
});

test('lines are given whole, once, without the blank ones', (t) => {
  const serial = transcript();
  const lines: string[] = [];
  const stop = serial.onLine((line, ms) => lines.push(`${ms} ${line}`));
  serial.feed('Linux ver');
  serial.feed('sion 6.1\n\n   \nnext');
  stop();
  serial.feed(' is not heard\n');
  t.deepEqual(lines, ['7 Linux version 6.1']);
});

test('a wait sees what was already written', async (t) => {
  const serial = transcript();
  serial.feed('Linux version 6.1.0\n');
  const { match, ms } = await serial.waitFor(/version (\S+)/);
  t.is(match[1], '6.1.0');
  t.is(ms, 7);
});

test('a wait sees what comes in pieces, without a line end', async (t) => {
  const serial = transcript();
  const seen = serial.waitFor(/login:/g);
  for (const part of ['lo', '\x1b[1m', 'gi', 'n', ':']) serial.feed(part);
  t.is((await seen).match[0], 'login:');
});

test('a wait that is over says what was there instead', async (t) => {
  const serial = transcript();
  serial.feed('No bootable device.\n');
  await t.throwsAsync(serial.waitFor(/Linux/, { withinMs: 1 }), {
    code: 'NOT_SEEN',
    message: 'machine n1: /Linux/ was not seen within 0 s; its last line: "No bootable device.".',
  });
});

test('a wait fails when the machine ends, before or afterwards', async (t) => {
  const serial = transcript();
  const waiting = serial.waitFor(/Linux/);
  serial.end('QEMU ended');
  const expected = {
    code: 'MACHINE_FAILED',
    message: 'machine n1: QEMU ended before /Linux/ was seen; it wrote nothing.',
  };
  await t.throwsAsync(waiting, expected);
  await t.throwsAsync(serial.waitFor(/Linux/), expected);
});

test('a wait ends with its signal', async (t) => {
  const stop = new AbortController();
  const waiting = transcript().waitFor(/Linux/, { signal: stop.signal });
  stop.abort();
  await t.throwsAsync(waiting, { code: 'STOPPED' });
  await t.throwsAsync(transcript().waitFor(/Linux/, { signal: stop.signal }), { code: 'STOPPED' });
});

test('memory is bounded: old output is dropped', (t) => {
  const serial = transcript();
  for (let i = 0; i < 6; i++) serial.feed('x'.repeat(1024 * 1024));
  t.is(serial.text.length, 4 * 1024 * 1024);
});
