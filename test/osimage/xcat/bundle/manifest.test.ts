import test from 'ava';
import fc from 'fast-check';
import { parseXcatManifest, writeXcatManifest } from '../../../../src/osimage/xcat/bundle/manifest.js';
import { output } from '../../../image/programs.js';

const parse = (text: string): ReturnType<typeof parseXcatManifest> => parseXcatManifest(text, 'manifest.xml');

/** A manifest as plain objects. */
const shown = (text: string): unknown => {
  const { osimage, linuximage, plain, extras, others } = parse(text);
  return {
    ...(osimage.size === 0 ? {} : { osimage: Object.fromEntries(osimage) }),
    ...(linuximage.size === 0 ? {} : { linuximage: Object.fromEntries(linuximage) }),
    ...Object.fromEntries(plain),
    ...(extras.length === 0 ? {} : { extras }),
    ...(others.length === 0 ? {} : { others }),
  };
};

const VARIANTS: readonly (readonly [what: string, text: string, wanted: unknown])[] = [
  [
    'tables, and the rest below the root',
    '<?xml version="1.0"?>\n<xcatimage>\n  <kernel>/a/kernel</kernel>\n  <linuximage><exlist>/x</exlist></linuximage>\n  <osimage><osarch>x86_64</osarch></osimage></xcatimage>',
    { kernel: '/a/kernel', linuximage: { exlist: '/x' }, osimage: { osarch: 'x86_64' } },
  ],
  [
    'columns right below the root, as before 2.8',
    '<xcatimage><imagename>i</imagename><osvers>rhels6</osvers><exlist>/x</exlist><rootimg>/r/rootimg.gz</rootimg></xcatimage>',
    {
      osimage: { imagename: 'i', osvers: 'rhels6' },
      linuximage: { exlist: '/x' },
      rootimg: '/r/rootimg.gz',
    },
  ],
  [
    'attributes in place of elements',
    '<opt kernel="/k"><osimage imagename="i" profile="p"/><linuximage exlist="/x"/></opt>',
    { kernel: '/k', osimage: { imagename: 'i', profile: 'p' }, linuximage: { exlist: '/x' } },
  ],
  [
    'one extra',
    '<xcatimage><extra><dest>/d</dest><src>/s</src></extra></xcatimage>',
    { extras: [{ src: '/s', dest: '/d' }] },
  ],
  [
    'several extras, one without a destination',
    '<xcatimage><extra><dest>/d</dest><src>/s</src></extra><extra><src>/t</src></extra></xcatimage>',
    {
      extras: [
        { src: '/s', dest: '/d' },
        { src: '/t', dest: '' },
      ],
    },
  ],
  [
    'statelite',
    '<xcatimage><litefile>/l.csv</litefile><rootimgtree>/r/rootimgtree.gz</rootimgtree></xcatimage>',
    { litefile: '/l.csv', rootimgtree: '/r/rootimgtree.gz' },
  ],
  ['install', '<xcatimage><media>required</media></xcatimage>', { media: 'required' }],
  [
    'postscripts of a node',
    '<xcatimage><postbootscripts>otherpkgs</postbootscripts><postscripts>a,b</postscripts></xcatimage>',
    { postbootscripts: 'otherpkgs', postscripts: 'a,b' },
  ],
  [
    'kits and raw images are others',
    '<xcatimage><kit><k1><version>1</version></k1></kit><rawimagefiles><files>/a.img</files></rawimagefiles></xcatimage>',
    { others: ['kit', 'rawimagefiles'] },
  ],
  [
    'white space, entities, empty elements',
    '<xcatimage><osimage><description> a &amp; b &lt;c&gt; </description><groups></groups></osimage></xcatimage>',
    { osimage: { description: 'a & b <c>' } },
  ],
];

for (const [what, text, wanted] of VARIANTS) {
  test(what, (t) => {
    t.deepEqual(shown(text), wanted);
  });
}

const WRONG: readonly (readonly [what: string, text: string, says: RegExp])[] = [
  ['no XML', 'x=1', /^manifest\.xml:1:1: .*export the osimage again$/],
  ['cut short', '<xcatimage><osimage><osarch>x86', /^manifest\.xml:1:\d+: /],
  ['nothing', '', /^manifest\.xml:1:1: /],
  [
    'a column twice',
    '<x><osimage><osarch>a</osarch><osarch>b</osarch></osimage></x>',
    /osarch stands there twice/,
  ],
  ['a line break', '<x><kernel>/a\n/b</kernel></x>', /kernel holds control characters/],
  [
    'entities of its own',
    '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x><kernel>&e;</kernel></x>',
    /^manifest/,
  ],
];

for (const [what, text, says] of WRONG) {
  test(`${what} is refused by line and column`, (t) => {
    const { message } = t.throws(() => parse(text), { code: 'BAD_BUNDLE' });
    t.regex(message, says);
    t.notRegex(message, /\n/);
  });
}

const value = fc
  .string({ unit: fc.constantFrom('a', '/', '.', ' ', '&', '<', '>', '"', "'", 'é', ']', '-', '=') })
  .map((text) => text.trim())
  .filter((text) => text !== '');
const fields = (names: readonly string[]) =>
  fc.dictionary(fc.constantFrom(...names), value).map((record) => new Map(Object.entries(record)));

test('what is written is read back, and by Python', async (t) => {
  const read = `
import sys, json, xml.etree.ElementTree as E
r = E.parse(sys.stdin).getroot()
print(json.dumps([[c.tag, c.text if len(c) == 0 else sorted([d.tag, d.text] for d in c)] for c in r]))`;
  await fc.assert(
    fc.asyncProperty(
      fields(['imagename', 'osarch', 'description', 'synclists']),
      fields(['exlist', 'addkcmdline', 'comments']),
      fields(['kernel', 'rootimg', 'postscripts']),
      fc.array(fc.record({ src: value, dest: value }), { maxLength: 3 }),
      async (osimage, linuximage, plain, extras) => {
        fc.pre(osimage.size > 0 && linuximage.size > 0);
        const text = writeXcatManifest({ osimage, linuximage, plain, extras });
        const again = parse(text);
        t.deepEqual(new Map([...again.osimage].sort()), new Map([...osimage].sort()));
        t.deepEqual(new Map([...again.linuximage].sort()), new Map([...linuximage].sort()));
        t.deepEqual(new Map([...again.plain].sort()), new Map([...plain].sort()));
        t.deepEqual(again.extras, extras);
        const bytes = Buffer.from(text);
        const seen = JSON.parse((await output('python3', ['-c', read], bytes)).toString()) as unknown[];
        const sorted = (map: ReadonlyMap<string, string>): unknown => [...map].sort();
        t.deepEqual(
          seen,
          [
            ...extras.map(({ src, dest }) => [
              'extra',
              [
                ['dest', dest],
                ['src', src],
              ],
            ]),
            ...[...plain],
            ['linuximage', sorted(linuximage)],
            ['osimage', sorted(osimage)],
          ].sort(([a], [b]) => (String(a) < String(b) ? -1 : String(a) > String(b) ? 1 : 0)),
        );
      },
    ),
    { numRuns: 15, seed: 1 },
  );
});

test('it is laid out as imgexport does', (t) => {
  t.is(
    writeXcatManifest({
      osimage: new Map([
        ['imagename', 'i'],
        ['osarch', 'x86_64'],
      ]),
      linuximage: new Map([
        ['imagename', 'i'],
        ['exlist', '/x'],
      ]),
      plain: new Map([
        ['ramdisk', '/r'],
        ['kernel', '/k'],
      ]),
      extras: [{ src: '/s', dest: '/d' }],
    }),
    `<?xml version="1.0"?>
<xcatimage>
  <extra>
    <dest>/d</dest>
    <src>/s</src>
  </extra>
  <kernel>/k</kernel>
  <linuximage>
    <exlist>/x</exlist>
    <imagename>i</imagename>
  </linuximage>
  <osimage>
    <imagename>i</imagename>
    <osarch>x86_64</osarch>
  </osimage>
  <ramdisk>/r</ramdisk>
</xcatimage>
`,
  );
});
