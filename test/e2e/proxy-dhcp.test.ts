import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { configFile } from '../../src/site/site.js';
import { EDITED, importEdited, PATIENCE, waitForEvidence } from '../boot/boot-once.js';
import { LabSite, type LabNode } from './lab-site.js';

/** The proxy's own address, beside dnsmasq's on the same bridge. */
const OURS = '10.77.0.2';

const nodes: readonly LabNode[] = [
  { name: 'n1', mac: '52:54:00:77:01:01', ip: '10.77.0.121', firmware: 'bios' },
  { name: 'n2', mac: '52:54:00:77:01:02', ip: '10.77.0.122', firmware: 'uefi' },
];

let site: LabSite;
let stopDnsmasq: () => Promise<void> = async () => undefined;

test.before(async (t) => {
  t.timeout(120_000);
  site = await LabSite.open(nodes, async (opened) => {
    const { lab, dir } = opened;
    await lab.run(['ip', 'address', 'add', `${OURS}/24`, 'dev', lab.interface]);
    stopDnsmasq = await startDnsmasq(opened);
    await importEdited(opened, 'single');
    await writeFile(
      join(dir, 'site', configFile),
      `http: { listen: '${OURS}:8080' }
tftp: { listen: '${OURS}:69' }
dhcp:
  interfaces: { ${lab.interface}: proxy }
  subnets: [{ network: ${lab.network}, server: ${OURS} }]
`,
    );
  });
});

test.after.always(async () => {
  await stopDnsmasq();
  await site?.close();
});

for (const node of nodes) {
  const { name, ip, firmware } = node;
  test.serial(
    `a ${firmware} machine gets its address from dnsmasq, and all that it boots from the proxy`,
    async (t) => {
      t.timeout(PATIENCE + 60_000);
      await site.rackboot('nodeset', name, 'osimage=single:linux');
      const after = await site.store.events.lastId();
      const { evidence } = await site.withMachine(node, { kind: 'network' }, waitForEvidence, {
        memoryMb: 512,
      });
      t.is(evidence.marker, EDITED);
      const events = (await site.store.events.since(after, 100)).filter((event) => event.node === name);
      const of = (stage: string) => events.find((event) => event.stage === stage);
      t.regex(of('dhcp')?.detail ?? '', /^proxy for .*boot file /);
      t.is(of('loader')?.detail, firmware === 'uefi' ? 'snponly.efi by TFTP' : undefined);
      for (const stage of ['script', 'kernel', 'initrd']) t.is(of(stage)?.client, ip, stage);
    },
  );
}

/** A DHCP server that knows the machines' addresses, and nothing about booting; ended by what it gives. */
async function startDnsmasq({ lab, dir }: LabSite): Promise<() => Promise<void>> {
  const dnsmasq = lab.spawn([
    ...['dnsmasq', '--keep-in-foreground', '--log-facility=-', '--conf-file=/dev/null', '--user=root'],
    ...['--port=0', '--bind-dynamic', `--interface=${lab.interface}`, '--dhcp-authoritative'],
    ...['--dhcp-range=10.77.0.100,10.77.0.150,1h', `--dhcp-leasefile=${join(dir, 'leases')}`],
    ...nodes.map(({ mac, ip }) => `--dhcp-host=${mac},${ip}`),
  ]);
  let said = '';
  dnsmasq.stderr?.on('data', (text: Buffer) => (said += text.toString()));
  for (let tries = 0; !said.includes('DHCP, IP range'); tries += 1) {
    if (tries > 200) throw new Error(`dnsmasq (package dnsmasq-base) did not start: ${said}`);
    await sleep(50);
  }
  return async () => {
    if (dnsmasq.exitCode !== null || dnsmasq.signalCode !== null) return;
    dnsmasq.kill('SIGKILL');
    await once(dnsmasq, 'exit');
  };
}
