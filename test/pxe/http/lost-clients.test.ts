import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { CLIENT_SIDE, SERVER_SIDE, openSegment, startPeer } from '../dhcp/segment.js';
import { here } from '../dhcp/serving.js';

/** How clients leave their connections behind when the machine is reset, as scripts for `node -e`. */
const CLIENTS = {
  'that is idle': "c.on('data', () => done()); ask(100)",
  'that closed what it did not read': 'ask(50e6); c.pause(); setTimeout(() => c.end(done), 1000)',
};

for (const [what, script] of Object.entries(CLIENTS)) {
  test(`a connection ${what}, of a machine that is gone, is forgotten before the machine is back`, async (t) => {
    t.timeout(120_000);
    const segment = await openSegment();
    try {
      const { server, client } = segment;
      await client.must('ip', 'address', 'add', '10.77.0.2/24', 'dev', CLIENT_SIDE.interface);
      const http = startPeer(server, here('../http/serve-http.js'), [SERVER_SIDE.address, '5']);
      await http.next((value: { readonly up?: true }) => value.up === true);
      const connections = async (): Promise<string> =>
        (await server.run(['ss', '-Htan', 'dst', '10.77.0.2'])).output.trim();
      const program = `
        const c = require('node:net').connect({ host: '${SERVER_SIDE.address}', port: 8080, allowHalfOpen: true });
        const ask = (size) => c.write('GET /' + size + ' HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n');
        const done = () => { process.stdout.write('done'); setTimeout(() => undefined, 60000); };
        ${script}`;
      const machine = client.spawn(['node', '-e', program]);
      await new Promise((resolve) => machine.stdout?.once('data', resolve));
      await client.must('ip', 'link', 'set', CLIENT_SIDE.interface, 'down');
      t.not(await connections(), '');
      // The kernel itself would take more than 90 seconds.
      for (let tries = 0; tries < 45 && (await connections()) !== ''; tries++) await sleep(1000);
      t.is(await connections(), '');
    } finally {
      await segment.close();
    }
  });
}
