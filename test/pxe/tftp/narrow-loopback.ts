import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { setTimeout as sleep } from 'node:timers/promises';
import { DirectSocket } from '../../../src/pxe/tftp/direct-socket.js';
import { HOST } from './serving.js';

/** Sends over a loopback whose MTU shrinks meanwhile, in a namespace of its own; prints the sizes received, and errors. */
const setMtu = (mtu: number): unknown => execFileSync('ip', ['link', 'set', 'lo', 'mtu', String(mtu)]);
const [socket, client] = [createSocket('udp4'), createSocket('udp4')];
const errors: string[] = [];
const sizes: number[] = [];
client.on('message', (bytes) => sizes.push(bytes.length));
for (const each of [socket, client]) await new Promise<void>((resolve) => each.bind(0, HOST, resolve));
await new Promise<void>((resolve) => socket.connect(client.address().port, HOST, () => resolve()));
const direct = DirectSocket.of(socket, (error) => errors.push(error.message));
const runs = [direct?.sendRun(Buffer.alloc(3084), 1028)];
setMtu(576);
direct?.send(Buffer.alloc(700));
runs.push(direct?.sendRun(Buffer.alloc(3084), 1028));
for (let tries = 0; sizes.length < 4 && tries < 500; tries += 1) await sleep(10);
process.stdout.write(`${JSON.stringify({ runs, sizes, errors })}\n`);
process.exit();
