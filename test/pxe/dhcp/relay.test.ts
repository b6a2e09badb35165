import test from 'ava';
import { readRelay } from '../../../src/pxe/dhcp/relay.js';
import { clientMessage, hex, is } from './messages.js';

const rows: readonly [
  name: string,
  information: string | undefined,
  link: string,
  port: string | undefined,
][] = [
  ['nothing', undefined, '10.88.0.254', undefined],
  ['a circuit', '010465746831', '10.88.0.254', 'eth1'],
  ['a circuit of a switch', '0106000400010107', '10.88.0.254', 'hex:000400010107'],
  ['a remote id', '0203737731', '10.88.0.254', 'sw1'],
  ['both, in either order', '0106476930' + '2f3031' + '0203737731', '10.88.0.254', 'sw1/Gi0/01'],
  ['blanks', '0103612062', '10.88.0.254', 'hex:612062'],
  ['an empty circuit', '0100', '10.88.0.254', undefined],
  ['another link', '05040a630001', '10.99.0.1', undefined],
  ['a link that is none', '05020a63', '10.88.0.254', undefined],
  ['lengths that do not add up', '01ff65', '10.88.0.254', undefined],
];
for (const [name, information, link, port] of rows) {
  test(`a relay says ${name}`, (t) => {
    const options = [is('discover'), ...(information === undefined ? [] : [hex(82, information)])];
    t.deepEqual(readRelay(clientMessage(options, { giaddr: '10.88.0.254' })), {
      address: '10.88.0.254',
      link,
      port,
    });
    t.is(readRelay(clientMessage(options)), undefined, 'a client’s own word counts for nothing');
  });
}
