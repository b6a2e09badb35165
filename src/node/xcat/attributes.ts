/**
 * The columns of xCAT's node tables that are attributes of its node objects, by table; `column` alone where the
 * attribute has the column's name, else `[column, attribute]` (xCAT's man page node(7)).
 */
const TABLES: Readonly<Record<string, readonly (string | readonly [string, string])[]>> = {
  nodelist: ['groups', 'primarysn', 'hidden', 'zonename', ['comments', 'usercomment']],
  noderes: [
    'servicenode',
    'netboot',
    'tftpserver',
    'tftpdir',
    'nfsserver',
    'monserver',
    'nfsdir',
    'installnic',
    'primarynic',
    'xcatmaster',
    'nimserver',
    'routenames',
    'nameservers',
    'syslog',
    ['proxydhcp', 'supportproxydhcp'],
  ],
  nodetype: ['os', 'arch', 'profile', 'provmethod', 'supportedarchs', 'nodetype'],
  nodehm: [
    'power',
    'mgt',
    'cons',
    'termserver',
    'termport',
    'conserver',
    'serialport',
    'serialspeed',
    'serialflow',
    'getmac',
    'cmdmapping',
    'consoleondemand',
  ],
  hosts: ['ip', 'hostnames', 'otherinterfaces'],
  mac: ['mac', 'interface'],
  ipmi: [
    'bmc',
    'bmcport',
    ['taggedvlan', 'bmcvlantag'],
    ['username', 'bmcusername'],
    ['password', 'bmcpassword'],
  ],
  openbmc: [
    'bmc',
    'consport',
    ['taggedvlan', 'bmcvlantag'],
    ['username', 'bmcusername'],
    ['password', 'bmcpassword'],
  ],
  bootparams: ['addkcmdline'],
  chain: ['chain', 'ondiscover'],
  nodepos: ['rack', ['u', 'unit'], 'chassis', 'slot', 'room', 'height'],
  vpd: ['serial', 'mtm', 'side', 'uuid'],
  hwinv: ['cputype', 'cpucount', 'memory', 'disksize'],
  postscripts: ['postscripts', 'postbootscripts'],
  prescripts: [
    ['begin', 'prescripts-begin'],
    ['end', 'prescripts-end'],
  ],
  switch: ['switch', ['port', 'switchport'], ['vlan', 'switchvlan'], ['interface', 'switchinterface']],
  mp: ['mpa', 'id', ['nodetype', 'hwtype']],
  vm: [
    'migrationdest',
    ['host', 'vmhost'],
    ['mgr', 'vmmanager'],
    ['cpus', 'vmcpus'],
    ['memory', 'vmmemory'],
    ['nics', 'vmnics'],
    ['nicmodel', 'vmnicnicmodel'],
    ['storage', 'vmstorage'],
    ['storagemodel', 'vmstoragemodel'],
    ['cfgstore', 'vmcfgstore'],
    ['textconsole', 'vmtextconsole'],
    ['virtflags', 'vmvirtflags'],
    ['vncport', 'vmvncport'],
    ['bootorder', 'vmbootorder'],
    ['beacon', 'vmbeacon'],
    ['master', 'vmmaster'],
    ['cluster', 'vmcluster'],
    ['othersettings', 'vmothersetting'],
  ],
  nics: [
    'nicips',
    'nichostnamesuffixes',
    'nichostnameprefixes',
    'nictypes',
    'niccustomscripts',
    'nicnetworks',
    'nicaliases',
    'nicextraparams',
    'nicdevices',
    'nicsadapter',
  ],
};

/** Columns that say what xCAT did last; rackboot knows it of itself. */
const STATE: Readonly<Record<string, readonly string[]>> = {
  nodelist: ['status', 'statustime', 'appstatus', 'appstatustime', 'updatestatus', 'updatestatustime'],
  chain: ['currstate', 'currchain'],
  bootparams: ['kernel', 'initrd', 'kcmdline'],
  noderes: ['current_osimage', 'next_osimage'],
};

/** The names of those columns as attributes of an object. */
export const STATE_ATTRIBUTES: ReadonlySet<string> = new Set(Object.values(STATE).flat());

/** Whether an attribute is a password, which the database is no place for: templates and the API show attributes. */
export function isSecret(attribute: string): boolean {
  return /passw(?:or)?d/i.test(attribute);
}

const columns = new Map(
  Object.entries(TABLES).map(([table, entries]) => [
    table,
    new Map(entries.map((entry) => (typeof entry === 'string' ? [entry, entry] : entry))),
  ]),
);

/** The node tables of xCAT that can be read. */
export const NODE_TABLES: readonly string[] = [...columns.keys()];

/** The attribute that `column` of `table` is, `state` for one that is not kept, or undefined for one nobody knows. */
export function attributeOfColumn(
  table: string,
  column: string,
): { readonly attribute: string } | 'state' | undefined {
  const attribute = columns.get(table)?.get(column);
  if (attribute !== undefined) return { attribute };
  return STATE[table]?.includes(column) === true ? 'state' : undefined;
}

/** The attribute that a noderange means by `name`: itself, or that of `table.column`. */
export function attributeNamed(name: string): string {
  const [table = '', column, ...rest] = name.split('.');
  if (column === undefined || rest.length > 0) return name === 'tags' ? 'groups' : name;
  const found = attributeOfColumn(table, column);
  return typeof found === 'object' ? found.attribute : name;
}

/** How much of a header a table must know to be taken for the one that was dumped. */
const LEAST_KNOWN = 0.6;

/** The table whose dump has the columns `names`, the first of them `node`; undefined where none or several fit. */
export function tableOfHeader(names: readonly string[]): string | undefined {
  const own = names.slice(1).filter((name) => name !== 'comments' && name !== 'disable');
  if (names[0] !== 'node' || own.length === 0) return undefined;
  const scores = NODE_TABLES.map((table) => ({
    table,
    known: own.filter((name) => attributeOfColumn(table, name) !== undefined).length,
  })).sort((a, b) => b.known - a.known);
  const [best, second] = scores;
  if (best === undefined || best.known < LEAST_KNOWN * own.length) return undefined;
  return best.known === second?.known ? undefined : best.table;
}
