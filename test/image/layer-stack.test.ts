import fc from 'fast-check';
import test from 'ava';
import type { LayerFile } from '../../src/image/layer.js';
import { stackOverlays } from '../../src/image/layer-stack.js';
import { sha256 } from '../../src/store/digest.js';

const REGULAR = 0o100644;
const file = (path: string, text: string): LayerFile => ({
  path,
  mode: REGULAR,
  size: text.length,
  blob: sha256(text),
});
const name = (path: string, sameAs: string, text: string): LayerFile => ({
  path,
  mode: REGULAR,
  size: text.length,
  sameAs,
});

test('of two files with one path the last overlay’s counts, in order of paths', (t) => {
  const [a, b, c] = [file('a', 'low'), file('b', 'low'), file('c', 'low')];
  const above = [file('0', 'high'), file('b', 'high')];
  t.deepEqual(stackOverlays([[a, b, c], above]), [above[0], a, above[1], c]);
  t.deepEqual(stackOverlays([]), []);
});

test('names of a file stay names of it when the first is replaced', (t) => {
  const below = [file('a', 'text'), name('b', 'a', 'text'), name('c', 'a', 'text')];
  t.deepEqual(stackOverlays([below, [file('a', 'new')]]), [
    file('a', 'new'),
    file('b', 'text'),
    name('c', 'b', 'text'),
  ]);
});

/** What a list of files holds, by path. */
function contents(files: readonly LayerFile[]): Map<string, string | undefined> {
  const found = new Map<string, string | undefined>();
  for (const { path, blob, sameAs } of files)
    found.set(path, sameAs === undefined ? blob : found.get(sameAs));
  return found;
}

test('every path has the content of the highest overlay that has it', (t) => {
  const path = fc.constantFrom('a', 'b', 'c', 'd', 'e');
  const overlay = fc
    .uniqueArray(fc.record({ path, text: fc.constantFrom('x', 'y'), first: path }), {
      selector: ({ path: at }) => at,
    })
    .map((all) => {
      const files: LayerFile[] = [];
      for (const item of all.sort((p, q) => (p.path < q.path ? -1 : 1))) {
        const first = files.find((earlier) => earlier.path === item.first && earlier.sameAs === undefined);
        files.push(first === undefined ? file(item.path, item.text) : name(item.path, first.path, 'x'));
      }
      return files;
    });
  fc.assert(
    fc.property(fc.array(overlay, { maxLength: 4 }), (overlays) => {
      const expected = new Map(overlays.flatMap((files) => [...contents(files)]));
      const stacked = stackOverlays(overlays);
      t.deepEqual(
        [...contents(stacked)],
        [...expected].sort(([p], [q]) => (p < q ? -1 : 1)),
      );
    }),
  );
});
