import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import type { TftpTransferEvent } from '../../../src/pxe/tftp/server.js';
import { CLIENT_SIDE, Namespace, SERVER_SIDE, openSegment, startPeer } from '../dhcp/segment.js';
import { here } from '../dhcp/serving.js';
import { bytesOf } from './serving.js';

const SIZE = 600_001;
const CLIENT = '10.77.0.2';

/** What a card can do about packets that are cut: all of it, leave it to the kernel, or not even sum them (EIO). */
const CARDS = {
  'cuts packets': ['tx', 'on', 'gso', 'on', 'tx-udp-segmentation', 'on'],
  'leaves cutting to the kernel': ['tx', 'on', 'gso', 'off', 'tx-udp-segmentation', 'off'],
  'sums no packets': ['tx', 'off'],
} as const;

for (const mtu of [576, 1280]) {
  for (const [card, features] of Object.entries(CARDS)) {
    test.serial(`packets larger and smaller than an MTU of ${mtu}, and a card that ${card}`, async (t) => {
      const dir = await mkdtemp(join(tmpdir(), 'rackboot-wires-'));
      const segment = await openSegment();
      try {
        const { server, client } = segment;
        await client.must('ip', 'address', 'add', `${CLIENT}/24`, 'dev', CLIENT_SIDE.interface);
        await client.must('ip', 'link', 'set', CLIENT_SIDE.interface, 'mtu', String(mtu));
        await server.must('ip', 'link', 'set', SERVER_SIDE.interface, 'mtu', String(mtu));
        await server.must('ethtool', '-K', SERVER_SIDE.interface, ...features);
        const tftp = startPeer(server, here('../tftp/serve-tftp.js'), [SERVER_SIDE.address, String(SIZE)]);
        await tftp.next((value: { readonly up?: true }) => value.up === true);
        for (const blksize of [512, 1024, 1468, 4096, 65464]) {
          for (const windowsize of [1, 16, 64]) {
            const out = join(dir, 'out');
            const { code, output } = await client.run([
              ...['atftp', '--option', `blksize ${blksize}`, '--option', `windowsize ${windowsize}`],
              ...['-g', '-r', 'file', '-l', out, SERVER_SIDE.address, '69'],
            ]);
            const what = `blksize ${blksize} windowsize ${windowsize}`;
            t.is(code, 0, `${what}: ${output}`);
            t.true((await readFile(out)).equals(bytesOf(SIZE)), what);
            const { transfer } = await tftp.next<{ readonly transfer: TftpTransferEvent }>(() => true);
            t.like(transfer, { outcome: 'complete', bytes: SIZE }, what);
            await rm(out);
          }
        }
      } finally {
        await segment.close();
        await rm(dir, { recursive: true });
      }
    });
  }
}

test.serial('a wire that narrows while packets are cut for it gets them whole from then on', async (t) => {
  const namespace = await Namespace.open([], process.getuid?.() !== 0);
  try {
    await namespace.must('ip', 'link', 'set', 'lo', 'up');
    const peer = startPeer(namespace, here('../tftp/narrow-loopback.js'), []);
    const { runs, sizes, errors } = await peer.next<Readonly<Record<string, unknown>>>(() => true);
    t.deepEqual(runs, [3084, 0]);
    t.deepEqual(sizes, [1028, 1028, 1028, 700]);
    t.deepEqual(errors, []);
  } finally {
    await namespace.close();
  }
});
