import { once } from 'node:events';
import { appendFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import type { Machine } from '../../src/demo/machine.js';
import { serverAddress } from '../../src/demo/namespace.js';
import { startIpmiSim, type IpmiSim } from '../node/power/ipmi-sim.js';
import { LabSite, type LabNode } from './lab-site.js';
import { writeRootimgdir } from './stateless-image.js';

const node: LabNode = { name: 'n1', firmware: 'bios', mac: '52:54:00:77:00:61', ip: '10.77.0.61' };
const NAME = 'debian12-x86_64-netboot-compute';

let site: LabSite;
let bmc: IpmiSim;
let root = '';

test.before(async (t) => {
  t.timeout(180_000);
  site = await LabSite.open([node], async (opened) => {
    root = await writeRootimgdir(join(opened.dir, 'compute'), opened.dir);
    await opened.rackboot('image', 'import', join(opened.dir, 'compute'), '--name', NAME);
    bmc = await startIpmiSim(join(opened.dir, 'bmc'));
    await writeFile(join(opened.dir, 'bmc/power'), '1\n');
    await appendFile(
      join(opened.dir, 'site/rackboot.yaml'),
      `xcat: { reports: '${serverAddress}:3002' }\npower: { credentials: passwords.yaml, ipmi: { cipher: 3 } }\n`,
    );
    const passwords = `default: { username: ${bmc.username}, password: ${bmc.password} }\n`;
    await writeFile(join(opened.dir, 'site/passwords.yaml'), passwords, { mode: 0o600 });
  });
  const attributes = [
    ...['serialport=0', 'serialspeed=115200'],
    ...['mgt=ipmi', 'bmc=127.0.0.1', `bmcserviceport=${bmc.port}`],
  ];
  await site.rackboot('node', 'set', 'n1', ...attributes.flatMap((attribute) => ['--attr', attribute]));
});

test.after.always(async () => {
  await bmc?.stop();
  await site?.close();
});

/** What the root image's init told of the machine's boot `number`, from 1. */
async function told(t: ExecutionContext, machine: Machine, number: number): Promise<string> {
  const until = Date.now() + 6 * 60_000;
  for (;;) {
    const boots = machine.serial.text.split('EVIDENCE-END');
    if (boots.length > number) return boots[number - 1] ?? '';
    const ended = await Promise.race([machine.ended, sleep(500)]);
    if (ended !== undefined || Date.now() > until)
      t.fail(`boot ${number}: ${ended?.message ?? 'not in time'}\n${machine.serial.text.slice(-3000)}`);
  }
}

/** Resets the machine with `rackboot power`: the BMC is Debian's simulator, and what it is told is done to QEMU. */
async function reset(t: ExecutionContext, monitor: string): Promise<void> {
  const before = (await bmc.told()).filter((line) => line === 'reset 1').length;
  t.is(await site.rackboot('power', 'n1', 'reset'), 'n1: reset\n');
  t.is((await bmc.told()).filter((line) => line === 'reset 1').length, before + 1);
  const socket = connect(monitor);
  socket.resume();
  await once(socket, 'connect');
  socket.end('{"execute": "qmp_capabilities"}\n{"execute": "system_reset"}\n');
  await once(socket, 'close');
}

test('a stateless node: the quick change, and a tree that is packed, are there after a reset', async (t) => {
  t.timeout(20 * 60_000);
  const monitor = join(site.dir, 'monitor');
  const more = ['-qmp', `unix:${monitor},server=on,wait=off`, '-action', 'reboot=reset'];
  await site.rackboot('nodeset', 'n1', `osimage=${NAME}`);
  await site.withMachine(
    node,
    { kind: 'network' },
    async (machine) => {
      const first = await told(t, machine, 1);
      t.regex(first, /EVIDENCE motd=as packimage left it/);
      t.regex(first, /EVIDENCE owner=7:8 640 links=2/);
      t.regex(first, /EVIDENCE removed=no/);
      t.regex(
        first,
        /EVIDENCE line=.*\bimgurl=http:\S+\/rootimg\.cpio\.gz XCAT=10\.77\.0\.1:3001 NODE=n1 FC=0 /,
      );
      t.regex(first, /console=tty0 console=ttyS0,115200/);
      const [status] = JSON.parse(await site.rackboot('--json', 'status', 'n1')) as {
        readonly stage: string;
      }[];
      t.is(status?.stage, 'booted');
      t.regex(await site.rackboot('status', 'n1', '--history'), /netbooting[\s\S]*booted/);

      const motd = join(site.dir, 'motd');
      await writeFile(motd, 'changed by rackboot\n');
      await site.rackboot('image', 'put', NAME, `${motd}:/etc/motd`);
      await site.rackboot('image', 'delete', NAME, '/etc/removed');
      await site.rackboot('nodeset', 'n1', `osimage=${NAME}`);
      await reset(t, monitor);
      const second = await told(t, machine, 2);
      t.regex(second, /EVIDENCE motd=changed by rackboot/);
      t.regex(second, /EVIDENCE owner=7:8 640 links=2/);
      t.regex(second, /EVIDENCE removed=yes/);

      await writeFile(join(root, 'etc/motd'), 'packed again\n');
      await site.rackboot('image', 'pack', NAME, root, '-m', 'tar', '--xcatinfo');
      await site.rackboot('nodeset', 'n1', `osimage=${NAME}`);
      await reset(t, monitor);
      const third = await told(t, machine, 3);
      t.regex(third, /EVIDENCE motd=packed again/);
      t.regex(third, /EVIDENCE owner=7:8 640 links=2/);
      t.regex(third, /EVIDENCE removed=no/);
      t.regex(third, /EVIDENCE line=.*\/rootimg\.tar\.gz /);
      t.regex(third, new RegExp(`EVIDENCE info=IMAGENAME='${NAME}' IMAGEUUID='[0-9a-f-]{36}' `));
    },
    { more, lifetimeMs: 18 * 60_000 },
  );
});
