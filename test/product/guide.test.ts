import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { packageRoot } from '../../src/site/assets.js';
import { testProduct, type Product } from './product.js';

const execute = promisify(execFile);

let dir: string;
let product: Product;

test.before(async (t) => {
  t.timeout(300_000);
  product = await testProduct();
  dir = await mkdtemp(join(tmpdir(), 'rackboot-guide-'));
});

test.after.always(async () => {
  if (dir !== undefined) await rm(dir, { recursive: true, force: true });
});

/** Runs bin/rackboot on the site `name`; what it wrote, and whether it succeeded. */
async function rackboot(
  name: string,
  ...args: string[]
): Promise<{ readonly ok: boolean; readonly stdout: string; readonly stderr: string }> {
  const program = join(packageRoot(), 'bin/rackboot');
  try {
    return {
      ok: true,
      ...(await execute(program, ['--site', join(dir, name), ...args], { timeout: 120_000 })),
    };
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    return { ok: false, stdout, stderr };
  }
}

/** Commands that do not end by themselves; the boot tests run them. */
const ENDLESS = /^rackboot (?:serve|status .*--watch)/;

test.serial('every command of docs/xcp-ng.md does what it says', async (t) => {
  t.timeout(600_000);
  const page = await readFile(join(packageRoot(), 'docs/xcp-ng.md'), 'utf8');
  const [driver = ''] = (await readdir(product.drivers)).filter((file) => file.startsWith('virtio_net'));
  const commands = [...page.matchAll(/^```sh\n(.*?)^```$/gms)]
    .flatMap(([, block = '']) => block.trim().split('\n'))
    .filter((line) => !ENDLESS.test(line))
    .map((line) =>
      line
        .replace('/srv/iso/xcp-ng-8.3.0.iso', product.iso)
        .replace('/srv/drivers/igc.ko', join(product.drivers, driver))
        .replace(/^cp configs/, `cp ${join(packageRoot(), 'configs')}`)
        .replace(/^rackboot/, join(packageRoot(), 'bin/rackboot')),
    );
  t.true(commands.length > 12);
  const script = join(dir, 'guide.sh');
  await writeFile(script, `set -e\n${commands.join('\n')}\n`);
  const { stdout } = await execute('sh', [script], { cwd: dir, timeout: 500_000 });
  t.regex(stdout, /^\+ \/lib\/modules\/\S+\/updates\/virtio_net\.ko$/m);
  t.regex(stdout, /^n\[?1.*-> osimage xcp83/m);
});

test.serial('a mistake in an answer file is told at the build, and nothing is published', async (t) => {
  t.timeout(120_000);
  t.true((await rackboot('site', 'image', 'ls')).ok);
  const layer = join(dir, 'site/layers/wrong');
  await mkdir(layer);
  await cp(join(packageRoot(), 'configs/xcp-ng/answerfile.liquid'), join(layer, 'answerfile.liquid'));
  const text = await readFile(join(layer, 'answerfile.liquid'), 'utf8');
  await writeFile(join(layer, 'answerfile.liquid'), text.replace('type="url">{{ tree', 'type="ulr">{{ tree'));
  const line = text.split('\n').findIndex((each) => each.includes('<source')) + 1;
  const before = await rackboot('site', '--json', 'image', 'show', 'xcp83');
  const { ok, stderr } = await rackboot('site', 'image', 'build', 'xcp83', '--layers', 'wrong:xcp-ng-8.3');
  t.false(ok);
  t.is(
    stderr.trim().split('\n').at(-1),
    `rackboot: wrong/answerfile.liquid line ${line} column 11: <source> type="ulr" is not one of url, nfs, local`,
  );
  t.is((await rackboot('site', '--json', 'image', 'show', 'xcp83')).stdout, before.stdout);
});

test.serial('a wrong value of a node is told at nodeset, and no node is set', async (t) => {
  t.timeout(120_000);
  await rackboot('site', 'nodeset', 'rack7', 'boot');
  t.true((await rackboot('site', 'node', 'set', 'n2', '--attr', 'gateway=10.77.0.300')).ok);
  const { ok, stderr } = await rackboot('site', 'nodeset', 'rack7', 'osimage=xcp83');
  t.false(ok);
  t.regex(
    stderr,
    /n2 would get no answer file: xcp-ng\/answerfile\.liquid line \d+ column \d+: <gateway> "10\.77\.0\.300" is not an IPv4 address/,
  );
  const { stdout } = await rackboot('site', 'nodeset', 'rack7', 'stat');
  t.deepEqual(stdout.trim().split('\n'), ['n1: boot', 'n2: boot']);
});
