import test from 'ava';
import { CLIENT_SIDE, type Segment } from './segment.js';
import { MAC } from './messages.js';
import { event, startServer, withSegment } from './serving.js';

const ASK = ['bootpc', '--dev', CLIENT_SIDE.interface, '--returniffail', '--serverbcast', '--timeoutwait'];

/** It sends to where the route for broadcasts leads, and needs one. */
const wayOut = (segment: Segment): Promise<unknown> =>
  segment.client.must('ip', 'route', 'add', 'default', 'dev', CLIENT_SIDE.interface);

test.serial('bootpc, a BOOTP client, is told its reservation', (t) =>
  withSegment(async (segment) => {
    const server = await startServer(segment);
    await wayOut(segment);
    const client = segment.client.spawn([...ASK, '10']);
    let said = '';
    client.stdout?.on('data', (bytes: Buffer) => (said += bytes.toString()));
    client.stderr?.on('data', (bytes: Buffer) => (said += bytes.toString()));
    const ended = new Promise((resolve) => client.once('close', resolve));
    t.like(await server.next(event('ack')), { node: 'n1', mac: MAC, address: '10.77.0.11' });
    await ended;
    t.regex(said, /^IPADDR='10\.77\.0\.11'$/m);
    t.regex(said, /^NETMASK='255\.255\.255\.0'$/m);
    t.regex(said, /^GATEWAYS='10\.77\.0\.254 ?'$/m);
    t.regex(said, /^HOSTNAME='n1'$/m);
  }),
);

test.serial('a BOOTP client without a reservation gets nothing out of a pool', (t) =>
  withSegment(async (segment) => {
    const nodes = { [MAC]: { name: 'n1', ip: null } };
    const server = await startServer(segment, { nodes, pools: ['10.77.0.100-10.77.0.110'] });
    await wayOut(segment);
    const client = segment.client.spawn([...ASK, '10']);
    t.like(await server.next(event('ignored')), { node: 'n1', reason: 'no-reservation', address: null });
    client.kill('SIGKILL');
  }),
);
