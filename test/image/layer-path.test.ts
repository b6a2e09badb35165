import { mkdir, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import { resolveLayers } from '../../src/image/layer-path.js';
import { distOf, templateTrees } from '../../src/image/layer-templates.js';
import { inDirectory } from './programs.js';

/** Makes layers, each with the text of its INCLUDE. */
async function makeLayers(dir: string, layers: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, text] of Object.entries(layers)) {
    await mkdir(path.join(dir, name), { recursive: true });
    if (text !== '') await writeFile(path.join(dir, name, 'INCLUDE'), text);
  }
}

const TABLE: readonly (readonly [title: string, spec: string, found: readonly string[]])[] = [
  ['names are looked up in order of the search directories', 'a:b', ['site/a', 'shipped/b']],
  ['names after a path are looked up beside it first', './else/a:b:c', ['else/a', 'else/b', 'shipped/c']],
  ['names before a path are not', 'b:./else/a', ['shipped/b', 'else/a']],
  [
    'what a layer elsewhere includes is looked up beside it first',
    './else/d',
    ['else/d', 'else/b', 'shipped/c'],
  ],
  ['what a layer of a search directory includes is not', 'e', ['shipped/e', 'site/a']],
  ['a path into a search directory changes nothing', './shipped/b:a', ['shipped/b', 'site/a']],
];

for (const [title, spec, found] of TABLE) {
  test(title, async (t) => {
    await inDirectory(async (dir) => {
      await makeLayers(dir, {
        'site/a': '',
        'shipped/a': '',
        'shipped/b': '',
        'shipped/c': '',
        'shipped/e': 'a\n',
        'else/a': '',
        'else/b': '',
        'else/d': 'b\nc\n',
      });
      const words = spec.replaceAll('./', `${dir}/`);
      const layers = await resolveLayers(words, [path.join(dir, 'site'), path.join(dir, 'shipped')]);
      t.deepEqual(
        layers.map((layer) => path.relative(dir, layer.dir)),
        found,
      );
    });
  });
}

test('a path in INCLUDE is taken from the layer, else from the directory that the layer lies in', async (t) => {
  await inDirectory(async (dir) => {
    await makeLayers(dir, {
      'configs/a': '../b\nmine/c\n./d\n',
      'configs/b': '',
      'configs/mine/c': '',
      'configs/a/d': '',
      'configs/d': '',
    });
    t.deepEqual(
      (await resolveLayers(`${dir}/configs/a`, [])).map((layer) => path.relative(dir, layer.dir)),
      ['configs/a', 'configs/b', 'configs/mine/c', 'configs/a/d'],
    );
  });
});

test('a layer that is nowhere: where it was looked for', async (t) => {
  await inDirectory(async (dir) => {
    await makeLayers(dir, { 'else/a': '' });
    await t.throwsAsync(resolveLayers(`${dir}/else/a:nowhere`, [`${dir}/site`]), {
      code: 'NO_SUCH_LAYER',
      message: `no layer "nowhere": looked for ${dir}/else/nowhere, ${dir}/site/nowhere; make that directory or give a path`,
    });
  });
});

for (const [names, dist, release] of [
  [['8.3', 'updates'], '8.3', '8.3'],
  [['rack7', 'xcp-ng-8.2', '8.3'], 'xcp-ng-8.2', '8.2'],
  [['8.3.0'], '8.3.0', '8.3.0'],
  [['rack7', 'el'], 'rack7', undefined],
  [['v8.3', 'gen9'], 'v8.3', undefined],
  [[], '', undefined],
] as const) {
  test(`layers ${names.join(':')} take templates of ${dist}`, (t) => {
    const found = distOf(names.map((name) => ({ name, dir: `/${name}` })));
    t.deepEqual(found, release === undefined ? { dist } : { dist, release });
  });
}

test('templates: beside configs/, of the layer that bears the name, also behind a link', async (t) => {
  await inDirectory(async (dir) => {
    for (const made of [
      'co/configs/8.3/templates/iso/8.3',
      'co/configs/other/templates/iso/8.2',
      'co/templates/iso/8.3',
      'co/templates/installimg/xcp-8.3',
    ])
      await mkdir(path.join(dir, made), { recursive: true });
    await symlink(path.join(dir, 'co/configs/8.3'), path.join(dir, '8.3'));
    const trees = async (name: string, at: string): Promise<string[]> => {
      const dist = { dist: 'xcp-8.3', release: '8.3' };
      const found = await templateTrees({ name, dir: path.join(dir, at) }, dist, 'iso');
      return found.map((tree) => path.relative(dir, tree));
    };
    t.deepEqual(await trees('8.3', 'co/configs/8.3'), [
      'co/templates/iso/8.3',
      'co/configs/8.3/templates/iso/8.3',
    ]);
    t.deepEqual(await trees('8.3', '8.3'), ['co/templates/iso/8.3', '8.3/templates/iso/8.3']);
    t.deepEqual(await trees('other', 'co/configs/other'), []);
  });
});
