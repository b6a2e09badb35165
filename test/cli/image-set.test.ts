import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { newSite } from './in-process.js';

test('set attributes and list them in lsdef’s formats', async (t) => {
  const { dir, rackboot, json, generations } = await newSite(t);
  t.is(
    (
      await rackboot(
        'image',
        'set',
        'd12',
        'osvers=rocky9.4',
        'osarch=x86_64',
        'profile=compute',
        'provmethod=netboot',
        'addkcmdline=a=1 b',
      )
    ).out,
    '1 object definitions have been created or modified.\n',
  );
  t.is((await rackboot('image', 'ls', '-s')).out, 'd12  (osimage)\n');
  const long = `Object name: d12
    addkcmdline=a=1 b
    imagetype=linux
    osarch=x86_64
    osname=Linux
    osvers=rocky9.4
    profile=compute
    provmethod=netboot
`;
  t.is((await rackboot('image', 'show', 'd12', '-l')).out, long);
  t.is((await rackboot('image', 'ls', '-l')).out, long);
  t.is(
    (await rackboot('image', 'show', 'd12', '-i', 'template,profile')).out,
    'Object name: d12\n    profile=compute\n    template=\n',
  );
  t.is((await rackboot('image', 'ls', '-i', 'profile', '-c')).out, 'd12: profile=compute\n');
  t.is(
    (await rackboot('image', 'ls', '-w', 'osvers=~^rocky', '-w', 'osarch!=ppc64le')).out,
    'd12  (osimage)\n',
  );
  t.deepEqual(await rackboot('image', 'ls', '-w', 'osvers==x'), {
    status: 0,
    out: 'No object definitions have been found\n',
    err: '',
  });
  const stanza = (await rackboot('image', 'show', 'd12', '-z')).out;
  t.is(
    stanza,
    `# <xCAT data object stanza file>

d12:
    objtype=osimage
    addkcmdline=a=1 b
    imagetype=linux
    osarch=x86_64
    osname=Linux
    osvers=rocky9.4
    profile=compute
    provmethod=netboot
`,
  );
  await rackboot('image', 'set', 'd12', '-p', 'synclists=/a,/b', '-m', 'synclists=/a', 'profile=');
  t.is(
    (await rackboot('image', 'show', 'd12', '-i', 'synclists,profile', '-c')).out,
    'd12: profile=\nd12: synclists=/b\n',
  );
  const file = join(dir, 'x.stanza');
  await writeFile(file, stanza.replaceAll('compute', 'login') + '\nother:\n    objtype=osimage\n');
  const read = await rackboot('image', 'set', '-z', file);
  t.regex(read.err, /^other: no osimage of that name/);
  t.is((await rackboot('image', 'show', 'd12', '-i', 'profile', '-c')).out, 'd12: profile=login\n');
  t.like(await json('image', 'show', 'd12'), { number: 5, settings: { profile: 'login' } });
  t.is(
    ((await json('image', 'history', 'd12')) as { generation: string }[]).at(-1)?.generation,
    generations[0],
  );
});

for (const [status, message, ...words] of [
  [1, /'nosuch' is not a valid attribute name for an object type of 'osimage'/, 'd12', 'nosuch=1'],
  [2, /no attributes were specified/, 'd12'],
  [2, /profile: write it as key=value/, 'd12', 'profile'],
  [2, /name the osimage/],
  [1, /no osimage "d13"/, 'd13', 'profile=x'],
  [1, /cannot be read \(ENOENT\)/, '-z', '/nowhere'],
] as const) {
  test(`refused: image set ${words.join(' ')}`, async (t) => {
    const { rackboot, json } = await newSite(t);
    const outcome = await rackboot('image', 'set', ...words);
    t.is(outcome.status, status);
    t.regex(outcome.err, message);
    t.like(await json('image', 'show', 'd12'), { number: 2 });
  });
}
