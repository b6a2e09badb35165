import { execFileSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { layTemplates } from '../../../src/osimage/create/template-trees.js';

interface Trees {
  readonly checkout: string;
  readonly iso: string; // the highest layer's templates
  readonly medium: string;
  readonly lay: () => Promise<void>;
}

/** A checkout with templates of two layers, and somebody's file beside it. */
async function trees(t: ExecutionContext): Promise<Trees> {
  const top = await mkdtemp(join(tmpdir(), 'rackboot-templates-'));
  t.teardown(() => rm(top, { recursive: true, force: true }));
  const checkout = join(top, 'checkout');
  const [low, iso] = [join(checkout, 'templates/iso/base'), join(checkout, 'templates/iso/8.3')];
  const installimg = join(checkout, 'templates/installimg/8.3');
  const files: Readonly<Record<string, string>> = {
    [join(low, 'boot/isolinux/isolinux.cfg')]: 'low',
    [join(low, 'EULA')]: 'low',
    [join(iso, 'boot/isolinux/isolinux.cfg')]: 'high',
    [join(iso, '.treeinfo')]: 'info',
    [join(installimg, 'etc/issue')]: 'issue',
    [join(top, 'secret/key')]: 'secret',
  };
  for (const [file, text] of Object.entries(files)) {
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
  }
  const [medium, work] = [join(top, 'medium'), join(top, 'work')];
  await mkdir(medium);
  await mkdir(work);
  const request = { dist: '8.3', isoTemplates: [low, iso], installImageTemplates: [installimg] };
  return { checkout, iso, medium, lay: () => layTemplates(request, medium, work) };
}

test('templates lie over each other, and links into the checkout become files', async (t) => {
  const { checkout, iso, medium, lay } = await trees(t);
  await chmod(join(checkout, 'templates/iso/base/EULA'), 0o444);
  await writeFile(join(iso, 'EULA'), 'high', { mode: 0o444 });
  await writeFile(join(iso, 'run'), 'x', { mode: 0o700 });
  await symlink('../base', join(iso, 'other'));
  await symlink('EULA', join(iso, 'LICENSE'));
  await lay();
  const read = (name: string): Promise<string> => readFile(join(medium, name), 'utf8');
  t.is(await read('boot/isolinux/isolinux.cfg'), 'high');
  t.is(await read('EULA'), 'high');
  t.is(await read('LICENSE'), 'high');
  t.is(await read('.treeinfo'), 'info');
  t.is(await read('other/EULA'), 'low');
  t.is((await stat(join(medium, 'EULA'))).mode & 0o7777, 0o644);
  t.is((await stat(join(medium, 'run'))).mode & 0o7777, 0o755);
});

const REFUSED: readonly (readonly [string, (trees: Trees) => Promise<unknown>, RegExp])[] = [
  [
    'a link out of the checkout',
    ({ iso }) => symlink('../../../../secret/key', join(iso, 'key')),
    /templates\/iso\/8\.3\/key: leads to .*\/secret\/key, out of .*\/checkout, and would be served; put a copy/,
  ],
  [
    'an absolute link to a directory',
    ({ iso, checkout }) => symlink(join(checkout, '../secret'), join(iso, 'keys')),
    /iso\/8\.3\/keys: leads to .*\/secret, out of/,
  ],
  [
    'a link behind a link',
    async ({ iso, checkout }) => {
      await mkdir(join(checkout, 'shared'));
      await symlink('../../secret/key', join(checkout, 'shared/key'));
      await symlink('../../../shared', join(iso, 'shared'));
    },
    /iso\/8\.3\/shared\/key: leads to .*\/secret\/key, out of/,
  ],
  [
    'a link to nowhere',
    ({ iso }) => symlink('absent', join(iso, 'link')),
    /8\.3\/link: is a link that leads nowhere/,
  ],
  [
    'a link to itself',
    ({ iso }) => symlink('link', join(iso, 'link')),
    /8\.3\/link: is a link that leads nowhere/,
  ],
  [
    'a link to above',
    ({ iso }) => symlink('.', join(iso, 'again')),
    /8\.3\/again: leads back to .*\/iso\/8\.3, which/,
  ],
  [
    'a pipe',
    ({ iso }) => Promise.resolve(execFileSync('mkfifo', [join(iso, 'pipe')])),
    /8\.3\/pipe: is a device, pipe or socket/,
  ],
  [
    'a file in the place of a directory',
    ({ iso, checkout }) =>
      mkdir(join(checkout, 'templates/iso/base/x')).then(() => writeFile(join(iso, 'x'), '')),
    /8\.3\/x: is a file, and a directory in a lower/,
  ],
  [
    'a directory in the place of a file',
    ({ iso }) => mkdir(join(iso, 'EULA')),
    /8\.3\/EULA: is a directory, and a file in a lower/,
  ],
  [
    'a pipe for the root file system',
    ({ checkout }) =>
      Promise.resolve(execFileSync('mkfifo', [join(checkout, 'templates/installimg/8.3/etc/pipe')])),
    /installimg\/8\.3\/etc\/pipe: an overlay holds/,
  ],
];

for (const [what, spoil, message] of REFUSED) {
  test(`${what} is refused`, async (t) => {
    const made = await trees(t);
    await spoil(made);
    const error = await t.throwsAsync(made.lay, { code: 'BAD_LAYER', message });
    t.false(error?.message.includes('\n'));
    t.false((await readdir(made.medium)).includes('key'));
  });
}
