import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { LabSite, type LabNode } from './lab-site.js';
import { writeRootimgdir } from './stateless-image.js';

const node: LabNode = { name: 'n1', firmware: 'bios', mac: '52:54:00:77:00:61', ip: '10.77.0.61' };
const NAME = 'debian12-x86_64-netboot-compute';

let site: LabSite;

test.before(async (t) => {
  t.timeout(180_000);
  site = await LabSite.open([node], async (opened) => {
    await writeRootimgdir(join(opened.dir, 'compute'), opened.dir);
    await opened.rackboot('image', 'import', join(opened.dir, 'compute'), '--name', NAME);
  });
  await site.rackboot('node', 'set', 'n1', '--attr', 'serialport=0', '--attr', 'serialspeed=115200');
});

test.after.always(async () => {
  await site?.close();
});

/** Boots the node, and gives back what its root image's init told. */
async function told(t: ExecutionContext): Promise<string> {
  t.timeout(8 * 60_000);
  const console = await site.withMachine(node, { kind: 'network' }, async (machine) => {
    await machine
      .waitFor(/EVIDENCE-END/, { withinMs: 6 * 60_000 })
      .catch((error: unknown) => t.fail(`${String(error)}\n${machine.serial.text.slice(-3000)}`));
    return machine.serial.text;
  });
  return console.replaceAll('\r', '');
}

test.serial('a stateless node fetches its root image and runs it', async (t) => {
  await site.rackboot('nodeset', 'n1', `osimage=${NAME}`);
  const console = await told(t);
  t.regex(console, /EVIDENCE motd=as packimage left it/);
  t.regex(console, /EVIDENCE owner=7:8 640 links=2/);
  t.regex(console, /EVIDENCE removed=no/);
  t.regex(
    console,
    /EVIDENCE line=.*\bimgurl=http:\S+\/rootimg\.cpio\.gz XCAT=10\.77\.0\.1:3001 NODE=n1 FC=0 /,
  );
  t.regex(console, /console=tty0 console=ttyS0,115200/);
});

test.serial('one file changed, one removed: the node has both after its next boot', async (t) => {
  const motd = join(site.dir, 'motd');
  await writeFile(motd, 'changed by rackboot\n');
  await site.rackboot('image', 'put', NAME, `${motd}:/etc/motd`);
  await site.rackboot('image', 'delete', NAME, '/etc/removed');
  await site.rackboot('nodeset', 'n1', `osimage=${NAME}`);
  const console = await told(t);
  t.regex(console, /EVIDENCE motd=changed by rackboot/);
  t.regex(console, /EVIDENCE owner=7:8 640 links=2/);
  t.regex(console, /EVIDENCE removed=yes/);
});

test.serial('and back: rolled back, the node has what packimage left', async (t) => {
  await site.rackboot('image', 'rollback', NAME, '1');
  await site.rackboot('nodeset', 'n1', `osimage=${NAME}`);
  t.regex(await told(t), /EVIDENCE motd=as packimage left it/);
});
