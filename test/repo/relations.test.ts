import test from 'ava';
import fc from 'fast-check';
import { nevra, type PackageEntry } from '../../src/repo/package-entry.js';
import { chainTo, unrequired, type RelatedPackage } from '../../src/repo/relations.js';

const related = (name: string, version: string, provides: string[], requires: string[]): RelatedPackage => ({
  entry: {
    ...{ name, arch: 'noarch', epoch: '0', version, release: '1', href: `Packages/${name}-${version}.rpm` },
    ...{ size: 1, fileTime: 0, buildTime: 0, checksum: { type: 'sha256', value: '' } },
  },
  provides,
  requires,
});

/** The chain by the definition, every edge written out. */
function plainChain(
  packages: readonly RelatedPackage[],
  broken: string,
  roots: ReadonlySet<string>,
): string[] {
  const above = (head: string): string[] => {
    const mine = packages.filter(({ entry }) => entry.name === head).flatMap(({ provides }) => provides);
    const names = packages
      .filter(({ entry, requires }) => entry.name !== head && requires.some((need) => mine.includes(need)))
      .map(({ entry }) => entry.name);
    return [...new Set(names)].sort();
  };
  const start = packages.find(({ entry }) => nevra(entry) === broken)?.entry.name ?? broken;
  const seen = new Set([start]);
  let longest = [start];
  for (let ways = [[start]]; ways.length > 0;) {
    const next: string[][] = [];
    for (const way of ways) {
      const names = above(way[0]!);
      if (roots.has(way[0]!) || (roots.size === 0 && names.length === 0)) return way;
      longest = way;
      for (const name of names.filter((one) => !seen.has(one))) {
        seen.add(name);
        next.push([name, ...way]);
      }
    }
    ways = next;
  }
  return longest;
}

function plainUnrequired(
  packages: readonly RelatedPackage[],
  added: readonly PackageEntry[],
  wanted: ReadonlySet<string>,
): PackageEntry[] {
  return added.filter(
    (entry) =>
      !wanted.has(entry.name) &&
      !packages.some(
        (other) =>
          other.entry.name !== entry.name &&
          packages.some(
            (own) => own.entry.href === entry.href && own.provides.some((it) => other.requires.includes(it)),
          ),
      ),
  );
}

const NAMES = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
const capability = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'lib', 'virtual', 'nowhere');
const onePackage = fc
  .record({
    name: fc.constantFrom(...NAMES),
    version: fc.constantFrom('1', '2'),
    provides: fc.uniqueArray(capability, { maxLength: 3 }),
    requires: fc.uniqueArray(capability, { maxLength: 4 }),
  })
  .map(({ name, version, provides, requires }) => related(name, version, [name, ...provides], requires));
const repository = fc.uniqueArray(onePackage, {
  ...{ minLength: 1, maxLength: 14 },
  selector: ({ entry }) => entry.href,
});
const someNames = fc.uniqueArray(fc.constantFrom(...NAMES), { maxLength: 2 }).map((names) => new Set(names));

test('the chain to a broken package is that of the definition', (t) => {
  fc.assert(
    fc.property(repository, fc.nat(), someNames, (packages, at, roots) => {
      const name = nevra(packages[at % packages.length]!.entry);
      t.deepEqual(chainTo(packages, { package: name, needs: [] }, roots), plainChain(packages, name, roots));
    }),
    { numRuns: 1000 },
  );
});

test('what nothing requires is that of the definition', (t) => {
  fc.assert(
    fc.property(repository, someNames, (packages, wanted) => {
      const added = packages.filter((_, at) => at % 2 === 0).map(({ entry }) => entry);
      t.deepEqual(unrequired(packages, added, wanted), plainUnrequired(packages, added, wanted));
    }),
    { numRuns: 1000 },
  );
});

test('thousands of packages that provide and require one name are a line of work each', (t) => {
  const count = 30_000;
  const packages = Array.from({ length: count }, (_, at) => related(`p${at}`, '1', ['same'], ['same']));
  const [first] = chainTo(packages, { package: 'p0-1-1.noarch', needs: [] }, new Set([`p${count - 1}`]));
  t.is(first, `p${count - 1}`);
});
