// The page of the demo. It makes the shop's requests and draws what the server streams of the state of things.

const $ = (selector, within = document) => within.querySelector(selector);
const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];

// put changes a text only if it differs, so that nothing is read out or drawn twice.
function put(element, text) {
  text = String(text);
  if (element.textContent !== text) element.textContent = text;
}

const seconds = (s) => (s < 0.995 ? `${Math.round(s * 1000)} ms` : `${s.toFixed(1)} s`);
const items = (n, one, many = one + 's') => `${n} ${n === 1 ? one : many}`;

// --- requests ---

let session = ''; // the ID of this browser's session, as the last answer told it

// ask makes one request of the shop. Without an answer, ok is false and status 0.
async function ask(method, path, body) {
  const headers = { Accept: 'text/plain' };
  if (session) headers['X-Session'] = session;
  try {
    const r = await fetch(path, { method, body, headers, signal: AbortSignal.timeout(30000) });
    const text = await r.text();
    if (r.ok) follow(path === '/logout' ? '' : r.headers.get('X-Session') ?? '');
    return { ok: r.ok, status: r.status, text, replica: r.headers.get('X-Replica'), waited: (r.headers.get('X-Wait-Microseconds') ?? 0) / 1e6 };
  } catch {
    return { ok: false, status: 0, text: 'No answer came.', waited: 0 };
  }
}

const order = (path) => fetch('/live/' + path, { method: 'POST' }).then(
  async (r) => { if (!r.ok && r.status !== 409) say(await r.text(), 'bad'); },
  () => say('The demo does not answer. Is the command still running?', 'bad'),
);

const snapshot = async () => (await fetch('/live/state?session=' + encodeURIComponent(session))).json();

function say(text, tone = '') {
  put($('#result'), text);
  $('#result').className = 'result ' + tone;
}

// add is one click of one tab.
async function add(sku) {
  const r = await ask('POST', '/cart/' + sku);
  if (r.ok) say(`Done by ${r.replica}. The request waited ${seconds(r.waited)} for its session.`);
  else say(complaint(r), 'bad');
}

const complaint = (r) => (r.status === 0 || r.status === 502 ? 'There was no answer. The click may or may not have been saved.' : `Refused with status ${r.status}: ${r.text.trim()}`);

// burst sends 20 clicks at once, as five tabs with four clicks each do. Over plain HTTP the browser keeps to about five
// connections and sends the next click when one is answered.
async function burst() {
  const skus = $$('[data-add]').map((b) => b.dataset.add);
  const clicks = Array.from({ length: 20 }, (_, i) => () => ask('POST', '/cart/' + skus[i % skus.length]));
  const answers = [];
  say('20 clicks are in progress.');
  await ask('GET', '/badge'); // has the session another name since the lock was switched?
  if (!session) answers.push(await clicks.shift()()); // the first one begins the session
  const before = await snapshot();
  const first = answers.length;
  answers.push(...await Promise.all(clicks.map((click) => click())));
  let after = await snapshot();
  const done = answers.filter((a) => a.ok).length;
  const silent = answers.filter((a) => a.status === 0 || a.status === 502).length;
  const lost = lostIn(after) - lostIn(before);
  const parts = [`${done} of 20 clicks acknowledged`];
  if (silent) parts.push(`${silent} without an answer`);
  if (20 - done - silent) parts.push(`${20 - done - silent} refused`);
  let text = parts.join(', ') + (lost > 0 ? `, and ${items(lost, 'update')} vanished.` : ': nothing lost.');
  const trips = after.trips - before.trips;
  if (after.trips >= 0 && trips > 0) text += ` ${(trips / (20 - first)).toFixed(1)} round trips per click${after.unlocked ? '' : ' (2 when no request waits)'}, longest wait ${seconds(Math.max(...answers.map((a) => a.waited)))}.`;
  say(text, lost > 0 ? 'bad' : 'good');
}

const lostIn = (s) => Math.max(0, s.account.acknowledged - (s.session?.count ?? 0));

// once keeps a button from being pressed again while its work goes on. The button stays in the tab order.
function once(button, work) {
  button.addEventListener('click', async () => {
    if (button.getAttribute('aria-disabled') === 'true') return;
    button.setAttribute('aria-disabled', 'true');
    try { await work(); } finally { button.removeAttribute('aria-disabled'); }
  });
}

for (const b of $$('[data-add]')) b.addEventListener('click', () => add(b.dataset.add));
once($('#burst'), burst);
$('#look').addEventListener('click', async () => {
  const r = await ask('GET', '/badge');
  if (r.ok) say(`${r.replica} says: ${items(Number(r.text), 'thing')} in the cart.`);
  else say(complaint(r), 'bad');
});
$('#leave').addEventListener('click', async () => {
  const r = await ask('POST', '/logout');
  say(r.ok ? 'The session has ended, in Redis and in every copy. The next click begins a new one.' : complaint(r), r.ok ? '' : 'bad');
});
$('#login').addEventListener('submit', async (e) => {
  e.preventDefault();
  const r = await ask('POST', '/login', new URLSearchParams(new FormData(e.target)));
  say(r.ok ? 'Logged in. The cookie has a new secret, and the old one no longer opens the session.' : complaint(r), r.ok ? 'good' : 'bad');
});
once($('#sticky'), () => order('sticky/' + ($('#sticky').getAttribute('aria-checked') === 'true' ? 'off' : 'on')));
once($('#lock'), () => order('lock/' + ($('#lock').getAttribute('aria-checked') === 'true' ? 'off' : 'on')));
once($('#cut'), () => order('redis/' + ($('#cut').getAttribute('aria-pressed') === 'true' ? 'heal' : 'cut')));
$$('.replica').forEach((card, i) => {
  for (const [name, on, off] of [['pause', 'pause', 'resume'], ['kill', 'kill', 'start']]) {
    const b = $(`[data-${name}]`, card);
    once(b, () => order(`replica/${i + 1}/${b.getAttribute('aria-pressed') === 'true' ? off : on}`));
  }
});

// --- the stream ---

let stream = null;
let mute = false; // the demo has not answered of late
let seen = 0; // number of the newest event drawn
let last = null; // the state drawn

// connect follows the state of this browser's session. A hidden tab does not: browsers keep few connections per site.
function connect() {
  stream?.close();
  stream = null;
  if (document.hidden) return;
  stream = new EventSource(`/live/events?session=${encodeURIComponent(session)}&after=${seen}`);
  stream.onmessage = (m) => {
    if (mute) say('The demo answers again.');
    mute = false;
    draw(JSON.parse(m.data));
  };
  stream.onerror = () => {
    mute = true;
    say('The demo does not answer. Is it still running?', 'bad');
  };
}

// follow takes note of which session this browser has, and tells the other tabs.
function follow(id, quietly = false) {
  if (id === session) return;
  session = id;
  connect();
  if (!quietly) tabs.postMessage(id);
}

const tabs = new BroadcastChannel('holdfast-demo');
tabs.onmessage = (m) => follow(m.data, true);
document.addEventListener('visibilitychange', connect);

// --- drawing ---

function draw(s) {
  audit(s);
  facts(s);
  s.replicas.forEach((r, i) => replica($$('.replica')[i], r, s, i));
  redis(s);
  eventlog(s);
  tell(s);
  if (last && last.unlocked !== s.unlocked) ask('GET', '/badge'); // under which name are we known now?
  last = s;
}

function audit(s) {
  const found = s.session?.count ?? 0;
  const lost = lostIn(s);
  put($('#expected'), s.account.acknowledged);
  put($('#found'), found);
  put($('#lost'), lost);
  $('#lostbox').classList.toggle('some', lost > 0);
  put($('#open'), s.account.unanswered ? `${s.account.unanswered} without an answer` : 'none without an answer');
  for (const e of $$('[data-sku]')) put(e, s.session?.cart?.[e.dataset.sku] ?? 0);
  document.title = `${found ? `(${found}) ` : ''}Holdfast: one session, many tabs`;
}

function facts(s) {
  put($('#id'), s.session?.id ?? 'none yet');
  put($('#who'), s.session?.user || 'none');
  put($('#cookie'), s.account.cookie || 'none yet');
  put($('#cookies'), s.account.cookies ? `${items(s.account.cookies, 'time')}; the secret is not shown` : 'never');
}

const words = { alive: 'alive', paused: 'paused', stopped: 'killed' };

function replica(card, r, s, i) {
  const set = (name, text) => put($(`[data-is="${name}"]`, card), text);
  if (card.dataset.state !== r.state) card.dataset.state = r.state;
  const holds = s.session?.holder === `replica ${i + 1}`;
  set('state', holds ? { alive: 'holds the lock', paused: 'paused with the lock' }[r.state] ?? words[r.state] : words[r.state]);
  card.classList.toggle('holding', holds);
  set('waiting', r.waiting);
  $$('.dots i', card).forEach((dot, n) => dot.classList.toggle('on', n < r.waiting));
  set('copy', r.copy ? `version ${s.session.version}` : 'none');
  set('invalidations', r.invalidations);
  set('localHits', r.localHits);
  set('requests', r.requests);
  set('trips', r.trips < 0 ? '–' : r.trips);
  set('fresh', r.fresh < 0 ? 'no proof' : r.fresh < 0.05 ? 'just now' : `${r.fresh.toFixed(1)} s ago`);
  $('.bar i', card).style.transform = `scaleX(${r.fresh < 0 ? 0 : Math.max(0, 1 - r.fresh / 2)})`;
  $('[data-pause]', card).setAttribute('aria-pressed', r.state === 'paused');
  $('[data-kill]', card).setAttribute('aria-pressed', r.state === 'stopped');
}

function redis(s) {
  const panel = $('.redis');
  panel.dataset.cut = s.cut;
  panel.dataset.unlocked = s.unlocked;
  put($('#reach'), s.cut ? 'cut off' : 'reachable');
  put($('#version'), s.session?.version || '–');
  put($('#trips'), s.trips < 0 ? '–' : s.trips);
  const holder = s.session?.holder ?? '';
  put($('#holder'), s.unlocked ? 'no lock' : s.session?.kept ? `${holder}, for its next request` : holder || 'none');
  $('.holder').classList.toggle('full', holder !== '');
  $$('[data-slot]').forEach((slot, i) => {
    const name = s.session?.queue?.[i] ?? '';
    put(slot, name || '–');
    slot.parentElement.classList.toggle('full', name !== '');
  });
  $('#cut').setAttribute('aria-pressed', s.cut);
  $('#lock').setAttribute('aria-checked', !s.unlocked);
  $('#sticky').setAttribute('aria-checked', s.sticky);
}

function eventlog(s) {
  const fresh = (s.events ?? []).filter((e) => e.seq > seen);
  seen = Math.max(seen, s.newest);
  if (!fresh.length) return;
  const lines = $$('.eventlog li');
  history.unshift(...fresh.reverse());
  history.length = Math.min(history.length, lines.length);
  history.forEach((e, i) => {
    const set = (name, text) => put($(`[data-is="${name}"]`, lines[i]), text);
    lines[i].className = e.bad ? 'bad' : e.what ? 'good' : '';
    set('replica', e.replica);
    set('what', e.what || '–');
    set('waited', e.what && !e.bad ? `waited ${seconds(e.waited)}` : '');
    set('outcome', e.outcome);
  });
}

const history = []; // the events drawn, newest first

// tell says in words what has changed, to those who do not see it.
function tell(s) {
  if (!last) return;
  const news = [];
  s.replicas.forEach((r, i) => { if (r.state !== last.replicas[i].state) news.push(`Replica ${i + 1} is ${words[r.state]}.`); });
  if (s.cut !== last.cut) news.push(s.cut ? 'Redis is cut off.' : 'Redis is reachable again.');
  if (s.unlocked !== last.unlocked) news.push(s.unlocked ? 'The lock is off.' : 'The lock is on.');
  if (news.length) put($('#news'), news.join(' '));
}

connect();
ask('GET', '/badge'); // which session does this browser have?
