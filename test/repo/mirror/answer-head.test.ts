import test from 'ava';
import fc from 'fast-check';
import { readAnswerHead } from '../../../src/repo/mirror/answer-head.js';

const head = (...lines: string[]): string => lines.join('\r\n');

test('the head of a whole file', (t) => {
  const modified = 'Last-Modified: Sat, 03 Jan 2026 00:00:10 GMT';
  for (const [text, expected] of [
    [
      head('HTTP/1.1 200 OK', 'Content-Length: 12', modified),
      { length: 12, modified: 1767398410, isKept: true },
    ],
    [head('HTTP/1.1 200', 'content-length:0 \t'), { length: 0, isKept: true }],
    [head('HTTP/1.0 200 OK', 'Content-Length: 12'), { length: 12, isKept: false }],
    [head('HTTP/1.1 200 OK', 'Content-Length: 1', 'Connection: Close'), { length: 1, isKept: false }],
    [head('HTTP/1.1 200 OK', 'Content-Length: 1', 'Last-Modified: once'), { length: 1, isKept: true }],
  ] as const)
    t.deepEqual(readAnswerHead(text), expected, text);
});

test('what a whole HTTP client is needed for', (t) => {
  const length = 'Content-Length: 12';
  for (const text of [
    '',
    'HTTP/1.1 200 OK',
    head('HTTP/1.1 302 Found', length, 'Location: /'),
    head('HTTP/1.1 206 Partial Content', length),
    head('HTTP/1.1 2000 OK', length),
    head('HTTP/2 200', length),
    head('HTTP/1.1 200 OK', 'Transfer-Encoding: chunked'),
    head('HTTP/1.1 200 OK', length, 'Transfer-Encoding: chunked'),
    head('HTTP/1.1 200 OK', length, 'Content-Encoding: gzip'),
    head('HTTP/1.1 200 OK', length, length),
    head('HTTP/1.1 200 OK', 'Content-Length: -1'),
    head('HTTP/1.1 200 OK', 'Content-Length: 1e3'),
    head('HTTP/1.1 200 OK', length, ' folded'),
    head('HTTP/1.1 200 OK', 'Content-Length : 12'),
  ])
    t.is(readAnswerHead(text), undefined, text);
});

test('any text is read', (t) => {
  const line = fc.oneof(fc.string(), fc.constantFrom('Content-Length: 5', 'Connection: close', 'Date: x'));
  const text = fc.array(line).map((lines) => head('HTTP/1.1 200 OK', ...lines));
  fc.assert(
    fc.property(fc.oneof(text, fc.string()), (any) => {
      const read = readAnswerHead(any);
      return read === undefined || Number.isSafeInteger(read.length);
    }),
  );
  t.pass();
});
