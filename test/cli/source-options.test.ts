import test from 'ava';
import {
  joinSourceUrls,
  parseDefinedRepository,
  parseSourceUrls,
} from '../../src/cli/image/source-options.js';

test('--srcurl:LAYER becomes a value of --srcurl', (t) => {
  t.deepEqual(
    joinSourceUrls([
      'create',
      'n',
      '--srcurl',
      'http://a',
      '--srcurl:updates',
      'http://b',
      '--srcurl:ci=file:///c',
    ]),
    ['create', 'n', '--srcurl', 'http://a', '--srcurl', 'updates!http://b', '--srcurl', 'ci!file:///c'],
  );
  t.deepEqual(joinSourceUrls(['--', '--srcurl:x', 'y']), ['--', '--srcurl:x', 'y']);
  t.deepEqual(joinSourceUrls(['--srcurl:x']), ['--srcurl']);
});

test('source URLs for all layers and for one', (t) => {
  const { all, byLayer } = parseSourceUrls(['http://a/', 'updates!https://b/x!y//', 'file:///srv/m']);
  t.is(all, 'file:///srv/m');
  t.deepEqual([...byLayer], [['updates', 'https://b/x!y']]);
  t.deepEqual(parseSourceUrls([]), { byLayer: new Map() });
});

test('a repository defined by hand is cut at the first !', (t) => {
  t.deepEqual(parseDefinedRepository('mine!http://h/a!b/'), { nick: 'mine', url: 'http://h/a!b' });
});

const bad = (parse: () => unknown, message: RegExp) => ({ parse, message });
for (const [at, { parse, message }] of [
  bad(() => parseSourceUrls(['/srv/mirror']), /^--srcurl \/srv\/mirror: no URL; write it as http:/),
  bad(() => parseSourceUrls(['updates!nope']), /^--srcurl:updates nope: no URL/),
  bad(() => parseSourceUrls(['!http://a']), /^--srcurl: names no layer after the colon/),
  bad(() => parseSourceUrls(['http://a b']), /no URL/),
  bad(
    () => parseDefinedRepository('http://x'),
    /^--define-repo http:\/\/x: must have 2 parts separated by a "!"/,
  ),
  bad(() => parseDefinedRepository('a!'), /must have 2 parts/),
  bad(() => parseDefinedRepository('../a!http://x'), /"\.\.\/a" is no name for a repository/),
  bad(() => parseDefinedRepository('a!http://x\n[main]'), /no URL/),
].entries()) {
  test(`refused ${at}: ${message.source}`, (t) => {
    t.throws(parse, { code: 'USAGE', message });
  });
}
