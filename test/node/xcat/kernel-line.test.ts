import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { xcatVariables } from '../../../src/node/xcat/kernel-line.js';
import { netbootArguments } from '../../../src/osimage/xcat/boot-arguments.js';
import { packageRoot } from '../../../src/site/assets.js';
import { parseConfig } from '../../../src/site/parse.js';
import { renderTemplate } from '../../../src/template/render.js';

const render = (
  template: string,
  attributes: Record<string, string> = {},
  settings: Record<string, string> = {},
  facts: { reports?: boolean; destiny?: string } = {},
): string => {
  const node = {
    name: 'n01',
    macs: ['52:54:00:00:00:01'],
    ip: '10.1.0.1',
    uuid: null,
    serial: null,
    groups: [],
    attributes,
  };
  const xcat = xcatVariables({
    node,
    settings,
    serverUrl: 'http://10.1.0.254',
    config: {
      ...config,
      xcat: { ...config.xcat, reports: facts.reports === false ? 'off' : '10.1.0.254:3002' },
    },
    assignment: facts,
  });
  const variables = {
    node,
    xcat,
    files: 'http://10.1.0.254/f',
    tree: 'http://10.1.0.254/t',
    answerfile: 'A',
  };
  return renderTemplate(template, 'args', variables).split(/\s+/).join(' ').trim();
};
const config = parseConfig(
  'dhcp: { subnets: [{ network: 10.1.0.0/22, server: 10.1.0.254, routers: [10.1.0.253], nameServers: [10.1.0.3] }] }',
  'x',
);
const layer = (name: string): string =>
  readFileSync(join(packageRoot(), 'configs', name, 'bootargs'), 'utf8');
const stateless = netbootArguments('rootimg.cpio.gz');
const begin = 'imgurl=http://10.1.0.254/f/rootimg.cpio.gz XCAT=10.1.0.254:3001 NODE=n01 FC=0';
const end = 'BOOTIF=01-52-54-00-00-00-01';

test('a stateless node: xCAT’s words in xCAT’s order', (t) => {
  t.is(render(stateless), `${begin} XCATHTTPPORT=80 ${end}`);
  t.is(
    render(
      stateless,
      {
        serialport: '0',
        serialspeed: '115200',
        serialflow: 'hard',
        installnic: 'eth1',
        addkcmdline: 'a=1 R::b=2',
      },
      {
        osvers: 'rocky9.4',
        addkcmdline: 'c=#NODEATTRIB:nodehm:serialport# d=#TABLE:nodehm:$NODE:serialspeed#',
      },
    ),
    `${begin} XCATHTTPPORT=80 netdev=eth1 console=tty0 console=ttyS0,115200n8r selinux=0 a=1 c=0 d=115200 ${end}`,
  );
});

for (const [what, attributes, settings, words] of [
  ['installnic mac', { installnic: 'mac' }, {}, ''],
  ['installnic an address', { installnic: '52:54:00:00:00:02' }, {}, ' BOOTIF=52:54:00:00:00:02'],
  ['primarynic', { primarynic: 'ib0' }, { nodebootif: 'eth5' }, ' netdev=ib0'],
  ['nodebootif', {}, { nodebootif: 'eth5' }, ' netdev=eth5'],
  ['SLES', { installnic: 'eth0' }, { osvers: 'sle15.5' }, ' ip=dhcp netdev=eth0'],
  ['RHEL 6 keeps SELinux', {}, { osvers: 'rhels6.10' }, ''],
  ['RHEL 10', {}, { osvers: 'rhels10.0' }, ' selinux=0'],
  [
    'debug',
    { xcatdebugmode: '1', installnic: 'eth0' },
    {},
    ' LOGSERVER=10.1.0.254 syslog.server=10.1.0.254 syslog.type=rsyslogd syslog.filter=*.* xcatdebugmode=1 netdev=eth0',
  ],
  ['kdump', {}, { dump: 'nfs:///dumps' }, ' crashkernel=256M dump=nfs://10.1.0.254/dumps'],
] as const) {
  test(`stateless: ${what}`, (t) => {
    t.is(render(stateless, attributes, settings), `${begin} XCATHTTPPORT=80${words} ${end}`);
  });
}

test('nobody to report to: the node is told, unless its master is another', (t) => {
  t.regex(render(stateless, {}, {}, { reports: false }), / FC=0 nonodestatus XCATHTTPPORT=80/);
  t.regex(
    render(stateless, { xcatmaster: '10.1.0.9' }, {}, { reports: false }),
    / XCAT=10\.1\.0\.9:3001 NODE=n01 FC=0 XCATHTTPPORT=80/,
  );
});

test('kickstart', (t) => {
  t.is(render(layer('xcat-kickstart')), `inst.ks=A ip=dhcp ${end}`);
  t.is(
    render(layer('xcat-kickstart'), { installnic: 'eth0', serialport: '1', serialspeed: '19200' }),
    `inst.ks=A ip=eth0:dhcp inst.cmdline console=tty0 console=ttyS1,19200 ${end}`,
  );
});

test('kickstart with an address of its own, and with debugging', (t) => {
  t.is(
    render(layer('xcat-kickstart'), { managedaddressmode: 'static', installnic: 'eth0', xcatdebugmode: '2' }),
    `inst.ks=A ip=10.1.0.1::10.1.0.253:255.255.252.0:n01:eth0:none::52:54:00:00:00:01 nameserver=10.1.0.3 inst.loglevel=debug inst.syslog=10.1.0.254 inst.sshd ${end}`,
  );
});

test('genesis', (t) => {
  t.is(
    render(layer('xcat-genesis'), {}, {}, { destiny: 'runcmd=bmcsetup' }),
    `quiet xcatd=10.1.0.254:3001 destiny=runcmd=bmcsetup ${end}`,
  );
});
