// The nodes as /api/v1/status gives them, kept up to date by /api/v1/events.

const statuses = new Map(); // node name → status
const running = new Map(); // node name → progress of the transfer that runs now
const rows = new Map(); // node name → its row and cells
const dirty = new Set(); // nodes whose row is out of date

const element = (id) => document.getElementById(id);
const body = element('nodes');
const search = element('search');
const show = element('show');

const BUSY = new Set([
  'dhcp',
  'loader',
  'script',
  'local',
  'kernel',
  'initrd',
  'answer',
  'tree',
  'installing',
]);
const RUNNING_FOR = 8000; // ms without news after which a transfer no longer counts as running

let scheduled = false;
let reloadTimer;
let source;

function bytes(count) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let at = 0;
  while (count >= 1024 && at < units.length - 1) {
    count /= 1024;
    at++;
  }
  return `${at === 0 || count >= 100 ? Math.round(count) : count.toFixed(1)} ${units[at]}`;
}

function duration(ms) {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 3_600_000) return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`;
  return `${Math.floor(ms / 3_600_000)} h ${Math.round((ms % 3_600_000) / 60_000)} min`;
}

function ago(ms) {
  if (ms < 5_000) return 'just now';
  if (ms < 60_000) return `${Math.floor(ms / 1000)} s ago`;
  if (ms < 3_600_000) return `${Math.floor(ms / 60_000)} min ago`;
  if (ms < 86_400_000) return `${Math.floor(ms / 3_600_000)} h ago`;
  return `${Math.floor(ms / 86_400_000)} d ago`;
}

function setTo(status) {
  if (status.state === 'offline') return 'offline';
  if (status.state === 'boot')
    return status.osimage === null ? 'local disk' : `local disk · ${image(status)}`;
  return image(status);
}

function image(status) {
  if (status.osimage === null) return '';
  if (status.destiny != null) return status.destiny;
  const generation = status.generationNumber ?? status.generation?.slice(0, 12);
  return generation == null ? status.osimage : `${status.osimage}@${generation}`;
}

function kindOf(status) {
  if (status.stage === 'failed') return 'failed';
  if (status.stage === 'installed') return 'installed';
  if (status.state !== 'osimage') return 'idle';
  return status.stage === null || status.stage === 'nodeset' ? 'waiting' : 'busy';
}

function isShown(status) {
  const kind = kindOf(status);
  if (show.value !== 'all' && show.value !== kind) return false;
  const text = search.value.trim().toLowerCase();
  if (text === '') return true;
  return `${status.node} ${setTo(status)} ${image(status)} ${status.stage ?? ''}`
    .toLowerCase()
    .includes(text);
}

function makeRow(name) {
  const row = document.createElement('tr');
  row.role = 'row'; // on a narrow screen the style makes a card of it, which is to stay a row all the same
  const cell = (name, role = 'cell', tag = 'td') => {
    const made = row.appendChild(document.createElement(tag));
    made.className = name;
    made.role = role;
    return made;
  };
  const node = cell('node', 'rowheader', 'th');
  node.scope = 'row';
  node.textContent = name;
  const made = {
    row,
    setTo: cell('set-to'),
    stage: cell('stage'),
    progress: cell('progress'),
    sent: cell('sent number'),
    time: cell('took number'),
    last: cell('last'),
  };
  made.mark = made.stage.appendChild(document.createElement('span'));
  made.mark.className = 'mark';
  made.bar = made.progress.appendChild(document.createElement('progress'));
  made.bar.max = 1;
  made.percent = made.progress.appendChild(document.createElement('span'));
  made.percent.className = 'percent';
  made.detail = made.last.appendChild(document.createElement('span'));
  made.detail.className = 'detail';
  made.when = made.last.appendChild(document.createElement('time'));
  return made;
}

function write(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

/** What is being sent to the node now, or undefined. */
function transferOf(name, now) {
  const transfer = running.get(name);
  return transfer !== undefined && now - transfer.seen < RUNNING_FOR ? transfer : undefined;
}

function draw(name, now) {
  const status = statuses.get(name);
  const made = rows.get(name);
  if (status === undefined || made === undefined) return;
  const transfer = transferOf(name, now);
  const kind = kindOf(status);
  made.row.dataset.kind = kind;
  made.row.hidden = !isShown(status);
  write(made.setTo, setTo(status));
  made.setTo.title = status.generation ?? '';
  write(
    made.mark,
    transfer?.stage ?? (kind === 'waiting' ? 'waiting for boot' : (status.stage ?? 'never seen')),
  );
  const hasProgress = status.progress !== null;
  made.bar.hidden = made.percent.hidden = !hasProgress;
  if (hasProgress) {
    made.bar.value = status.progress;
    made.bar.setAttribute('aria-label', `${name}: ${Math.round(status.progress * 100)} percent`);
    const part = transfer === undefined ? undefined : `${bytes(transfer.sent)} of ${bytes(transfer.size)}`;
    write(made.percent, part ?? `${Math.round(status.progress * 100)} %`);
  }
  write(made.sent, status.bytes > 0 ? bytes(status.bytes) : '');
  write(made.time, status.ms > 0 ? duration(status.ms) : '');
  write(made.detail, transfer?.path ?? status.detail);
  write(made.when, status.at === null ? '' : ago(now - status.at));
  if (status.at !== null) made.when.dateTime = new Date(status.at).toISOString();
}

function drawSummary() {
  const counts = { busy: 0, waiting: 0, failed: 0, installed: 0 };
  let shown = 0;
  for (const status of statuses.values()) {
    const kind = kindOf(status);
    if (kind in counts) counts[kind]++;
    if (isShown(status)) shown++;
  }
  const parts = [`${statuses.size} ${statuses.size === 1 ? 'node' : 'nodes'}`];
  if (counts.busy > 0) parts.push(`${counts.busy} being installed`);
  if (counts.waiting > 0) parts.push(`${counts.waiting} waiting for boot`);
  if (counts.installed > 0) parts.push(`${counts.installed} installed`);
  write(element('counts'), parts.join(' · '));
  write(element('failures'), counts.failed > 0 ? ` · ${counts.failed} failed` : '');
  const isEmpty = statuses.size === 0;
  element('start').hidden = !isEmpty;
  element('filters').hidden = element('list').hidden = isEmpty;
  element('empty').hidden = isEmpty || shown > 0;
}

function redraw() {
  scheduled = false;
  const now = Date.now();
  for (const name of dirty) draw(name, now);
  dirty.clear();
  drawSummary();
}

function schedule(names) {
  for (const name of names) dirty.add(name);
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(redraw);
}

const order = new Intl.Collator('en', { numeric: true });

/** Rows in the order of the names, as people count: n2 before n10. */
function arrange() {
  const names = [...statuses.keys()].sort(order.compare);
  for (const [name, made] of rows) {
    if (statuses.has(name)) continue;
    made.row.remove();
    rows.delete(name);
  }
  for (const name of names) {
    let made = rows.get(name);
    if (made === undefined) rows.set(name, (made = makeRow(name)));
    body.append(made.row);
  }
  schedule(names);
}

async function reload() {
  clearTimeout(reloadTimer);
  try {
    const response = await fetch('/api/v1/status', { cache: 'no-store' });
    if (!response.ok) throw new Error(`status ${response.status}`);
    const list = await response.json();
    const before = statuses.size;
    const known = list.every((status) => statuses.has(status.node));
    statuses.clear();
    for (const status of list) statuses.set(status.node, status);
    if (known && before === list.length) schedule(statuses.keys());
    else arrange();
    if (source.readyState === EventSource.OPEN) connection('live');
  } catch {
    connection('lost');
  }
  // Nodes that are added or removed make no event.
  reloadTimer = setTimeout(reload, 15_000);
}

function connection(state) {
  const line = element('connection');
  if (line.dataset.state === state) return;
  line.dataset.state = state;
  write(line, { live: 'live', connecting: 'connecting', lost: 'connection lost, retrying' }[state]);
}

function listen() {
  source = new EventSource('/api/v1/events');
  let retry;
  source.addEventListener('open', () => {
    connection('live');
    void reload();
  });
  source.addEventListener('error', () => {
    connection('lost');
    // The browser retries by itself, unless the server refused.
    if (source.readyState === EventSource.CLOSED && retry === undefined) retry = setTimeout(listen, 3000);
  });
  source.addEventListener('status', ({ data }) => {
    const status = JSON.parse(data);
    const isNew = !statuses.has(status.node);
    statuses.set(status.node, status);
    if (!BUSY.has(status.stage) || running.get(status.node)?.stage !== status.stage)
      running.delete(status.node);
    if (isNew) arrange();
    else schedule([status.node]);
  });
  source.addEventListener('progress', ({ data }) => {
    const progress = JSON.parse(data);
    running.set(progress.node, { ...progress, seen: Date.now() });
    schedule([progress.node]);
  });
}

element('filters').addEventListener('submit', (event) => event.preventDefault());
search.addEventListener('input', () => schedule(statuses.keys()));
show.addEventListener('change', () => schedule(statuses.keys()));
setInterval(() => schedule(statuses.keys()), 5000);
listen();
