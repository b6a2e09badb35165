import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { packageRoot } from '../../../src/site/assets.js';
import { configFile } from '../../../src/site/site.js';
import { CLIENT_SIDE, type Namespace, SERVER_SIDE } from '../dhcp/segment.js';
import { withSegment } from '../dhcp/serving.js';

async function useIpv6(side: Namespace, device: string, address: string): Promise<void> {
  await side.must('sh', '-c', `echo 0 > /proc/sys/net/ipv6/conf/${device}/disable_ipv6`);
  await side.must('ip', 'address', 'add', `${address}/64`, 'dev', device, 'nodad');
}

const loader = '/usr/lib/ipxe/undionly.kpxe';
for (const listen of [`[fe80::77:1%${SERVER_SIDE.interface}]:69`, '[::]:69']) {
  test.serial(`link-local clients fetch from TFTP that listens on ${listen}`, (t) =>
    withSegment(async (segment, dir) => {
      await useIpv6(segment.server, SERVER_SIDE.interface, 'fe80::77:1');
      await useIpv6(segment.client, CLIENT_SIDE.interface, 'fe80::77:2');
      const site = join(dir, 'site');
      await mkdir(site);
      const clients = "[{ network: 'fe80::/10', blksize: 1024 }]";
      await writeFile(
        join(site, configFile),
        `http: { listen: '${SERVER_SIDE.address}:8080' }\ntftp: { listen: '${listen}', clients: ${clients} }\n`,
      );
      const program = join(packageRoot(), 'dist/src/cli/main.js');
      const server = segment.server.spawn([process.execPath, program, '--site', site, 'serve']);
      let said = '';
      server.stdout?.on('data', (text: Buffer) => (said += text.toString()));
      server.stderr?.on('data', (text: Buffer) => (said += text.toString()));
      for (const last = Date.now() + 60_000; !said.includes('TFTP on'); await sleep(50))
        if (server.exitCode !== null || Date.now() > last) throw new Error(`serve: ${said}`);
      const copy = join(dir, 'copy');
      const url = `tftp://[fe80::77:1%25${CLIENT_SIDE.interface}]/undionly.kpxe`;
      for (const options of [[], ['--tftp-no-options'], ['--tftp-blksize', '1468']]) {
        const { code, output } = await segment.client.run([
          'curl',
          '-sS',
          '-m',
          '15',
          ...options,
          '-o',
          copy,
          url,
        ]);
        t.is(code, 0, `${options.join(' ')}: ${output} ${said}`);
        t.deepEqual(await readFile(copy), await readFile(loader));
      }
    }),
  );
}
