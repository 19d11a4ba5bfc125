'use strict';
// Shows a school's cases live. Signs in with the fragment of its link, which never leaves the browser: #token=…&school=…&case=…&lang=zh

const texts = {
  zh: {
    signIn: '登录', token: '令牌', school: '学校编号', enter: '进入', cases: '个案', noCases: '没有个案', case: '个案', alerts: '告警', custody: '看护',
    clocks: '时限', timeline: '时间线', live: '实时', lost: '连接中断，正在重连…', level: '等级', provisional: '暂定', state: '状态', responsible: '负责人',
    opened: '开始', holders: '看护人', gaps: '空档', none: '无', take: '接警', takenBy: '接警人', due: '到期', left: '剩余', late: '超时', step: '梯次', round: '轮',
    supervised: '特别监护中', seen: '最后见到', other: 'English', day: (n) => `第${n}天`, refused: '未能完成',
    states: {open: '进行中', handed_over: '已移交', on_leave: '休学中', returned: '已返校', closed: '已结案', running: '计时中', met: '已完成', overdue: '已超时',
             cancelled: '已取消', taken: '已接警', held: '有人看护', unconfirmed: '待确认'},
    levels: {none: '无', watch: '关注', mild: '轻度', high: '高度', severe: '严重', extreme: '极重'},
  },
  en: {
    signIn: 'Sign in', token: 'Token', school: 'School id', enter: 'Enter', cases: 'Cases', noCases: 'No cases', case: 'Case', alerts: 'Alerts', custody: 'Custody',
    clocks: 'Clocks', timeline: 'Timeline', live: 'live', lost: 'connection lost, coming back…', level: 'Level', provisional: 'provisional', state: 'State',
    responsible: 'Responsible', opened: 'Opened', holders: 'With the child', gaps: 'Gaps', none: 'none', take: 'Take', takenBy: 'taken by', due: 'due', left: 'left',
    late: 'late', step: 'step', round: 'round', supervised: 'special supervision', seen: 'last seen', other: '中文', day: (n) => `day ${n}`, refused: 'Refused',
    states: {open: 'open', handed_over: 'handed over', on_leave: 'on leave'}, levels: {},
  },
};

const element = (id) => document.getElementById(id);
const fragment = new URLSearchParams(location.hash.slice(1));
const keep = (name) => {
  const given = fragment.get(name);
  if (given) sessionStorage.setItem(name, given);
  return given || sessionStorage.getItem(name) || '';
};
const session = {token: keep('token'), school: keep('school'), case: keep('case')};
let language = keep('lang') || (navigator.language.startsWith('zh') ? 'zh' : 'en');
if (!texts[language]) language = 'en';
// The token does not stay in the address bar, where it would be copied along.
if (location.hash) history.replaceState(null, '', location.pathname);

let domainClock = null;  // {at: performance.now(), time: ms, speed}
let shown = null;        // the case on the page
let cases = [];
let lastEvent = '';
let rowsSeen = new Set();
const t = (key) => texts[language][key];
const word = (table, value) => texts[language][table][value] || String(value || '').replaceAll('_', ' ');

function node(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

// A token says of itself whom it is for; the gateway alone decides whether that is true.
function claims() {
  try {
    const part = session.token.split('.')[0].replaceAll('-', '+').replaceAll('_', '/');
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(part), (c) => c.charCodeAt(0))));
  } catch {
    return {};
  }
}

async function request(path, options = {}) {
  const headers = {'Accept-Language': language, ...options.headers};
  if (session.token) headers.Authorization = 'Bearer ' + session.token;
  const response = await fetch(path, {...options, headers});
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({title: response.statusText}));
  const fields = (problem.errors || []).map((e) => `${e.field}: ${e.reason}`).join('; ');
  const error = new Error([problem.title, problem.detail, fields].filter(Boolean).join(' — '));
  error.status = response.status;
  throw error;
}
const read = async (path) => (await request(path)).json();

function complain(error) {
  const place = element('problem');
  place.hidden = !error;
  place.textContent = error ? `${t('refused')}: ${error.message}` : '';
  if (error && error.status === 401) element('sign-in').hidden = false;
}

const domainNow = () => domainClock ? domainClock.time + (performance.now() - domainClock.at) * domainClock.speed : Date.now();
async function readClock() {
  const clock = await read('/api/v1/clock');
  domainClock = {at: performance.now(), time: Date.parse(clock.now_time), speed: clock.speed || 1};
}

function formatTime(text) {
  if (!text) return '';
  const when = new Date(text);
  const clock = when.toLocaleTimeString(language, {hour: '2-digit', minute: '2-digit', hour12: false});
  if (!shown || !shown.opened_time) return when.toLocaleDateString(language) + ' ' + clock;
  const start = new Date(shown.opened_time);
  const day = Math.round((new Date(when).setHours(0, 0, 0, 0) - start.setHours(0, 0, 0, 0)) / 86400000) + 1;
  return `${t('day')(day)} ${clock}`;
}
function formatSpan(milliseconds) {
  const minutes = Math.floor(Math.abs(milliseconds) / 60000);
  const seconds = Math.floor(Math.abs(milliseconds) / 1000) % 60;
  const two = (n) => String(n).padStart(2, '0');
  return `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(seconds)}`;
}

function showWords() {
  document.documentElement.lang = language;
  const words = {
    'sign-in-title': 'signIn', 'token-label': 'token', 'school-label': 'school', 'sign-in-button': 'enter', 'cases-title': 'cases', 'case-title': 'case',
    'alerts-title': 'alerts', 'custody-title': 'custody', 'clocks-title': 'clocks', 'timeline-title': 'timeline', language: 'other',
  };
  for (const [id, key] of Object.entries(words)) element(id).textContent = t(key);
  const who = claims();
  element('who').textContent = [session.school, who.person, who.role].filter(Boolean).join(' · ');
}

function showCases() {
  const list = element('cases');
  list.replaceChildren();
  if (cases.length === 0) list.append(node('li', t('noCases'), 'dim'));
  for (const one of cases) {
    const item = node('li');
    const button = node('button');
    const level = one.level && (one.level.final || one.level.provisional);
    button.append(node('b', one.code || one.case_id), ' ', node('span', word('levels', level), level === 'none' ? 'dim' : 'red'), ' ',
                  node('span', word('states', one.state), 'dim'));
    button.type = 'button';
    button.setAttribute('aria-current', String(one.case_id === session.case));
    button.onclick = () => choose(one.case_id);
    item.append(button);
    list.append(item);
  }
}

function fact(label, value, className) {
  const place = node('div');
  place.append(node('span', label, 'dim'), node('b', value || t('none'), className));
  return place;
}

function showCase() {
  element('case').hidden = !shown;
  if (!shown) return;
  const level = shown.level || {};
  element('facts').replaceChildren(
      fact(t('case'), shown.code || shown.case_id, 'big'),
      fact(t('level'), level.final ? word('levels', level.final) : `${word('levels', level.provisional)} (${t('provisional')})`, 'big red'),
      fact(t('state'), word('states', shown.state), 'big'), fact(t('responsible'), shown.responsible), fact(t('opened'), formatTime(shown.opened_time)));

  element('alerts').replaceChildren(...(shown.alerts || []).map((alert) => {
    const row = node('tr');
    const attempts = (alert.attempts || []).map((a) => `${a.person_id} ${a.channel} ${word('states', a.state)}`).join('，');
    row.append(node('td', word('states', alert.state), alert.state === 'open' ? 'red' : 'green'), node('td', formatTime(alert.raised_time)),
               node('td', `${t('step')} ${alert.step}, ${t('round')} ${alert.round}`), node('td', attempts, 'dim'));
    const last = node('td', alert.taken_by ? `${t('takenBy')} ${alert.taken_by}` : '');
    if (alert.state === 'open') {
      const button = node('button', t('take'));
      button.type = 'button';
      button.onclick = () => take(alert.id);
      last.replaceChildren(button);
    }
    row.append(last);
    return row;
  }));

  const custody = shown.custody || {};
  const gaps = (custody.gaps || []).map((g) => `${formatTime(g.from_time)} – ${formatTime(g.to_time)}`).join('，');
  element('custody').replaceChildren(
      fact(t('holders'), (custody.holders || []).join('，') || word('states', custody.state), custody.state === 'held' ? 'green' : 'amber'),
      fact(t('supervised'), custody.supervised ? formatTime(custody.supervised_time) : t('none')), fact(t('seen'), formatTime(custody.seen_time)),
      fact(t('gaps'), gaps, gaps ? 'red' : 'green'));
  element('custody').className = 'facts';
  showClocks();
}

function showClocks() {
  if (!shown) return;
  element('clocks').replaceChildren(...(shown.clocks || []).map((clock) => {
    const row = node('tr');
    const late = clock.state === 'overdue' || clock.late;
    let left = '';
    if (clock.due_time && (clock.state === 'running' || clock.state === 'overdue')) {
      const remaining = Date.parse(clock.due_time) - domainNow();
      left = `${remaining < 0 ? t('late') : t('left')} ${formatSpan(remaining)}`;
    }
    row.append(node('td', word('states', clock.kind)), node('td', word('states', clock.state), late ? 'red' : clock.state === 'met' ? 'green' : ''),
               node('td', clock.due_time ? `${t('due')} ${formatTime(clock.due_time)}` : '', 'dim'), node('td', left, late ? 'number red' : 'number'));
    return row;
  }));
}

function addRow(row, fresh) {
  const id = `${row.position.partition}-${row.position.sequence}-${row.position.index}`;
  if (rowsSeen.has(id)) return;
  rowsSeen.add(id);
  const item = node('li', undefined, fresh ? 'new' : '');
  const when = node('time', formatTime(row.time), 'dim');
  when.dateTime = row.time;
  const what = node('span', row.summary || row.type);
  if (row.void) what.className = 'dim';
  item.append(when, what);
  element('timeline').prepend(item);
}

async function refreshCase() {
  if (!session.case) return;
  const wanted = session.case;
  const one = await read(`/api/v1/cases/${encodeURIComponent(wanted)}`);
  if (wanted !== session.case) return;
  shown = one;
  showCase();
}

async function choose(id) {
  session.case = id;
  sessionStorage.setItem('case', id);
  try {
    complain(null);
    await refreshCase();
    rowsSeen = new Set();
    element('timeline').replaceChildren();
    const timeline = await read(`/api/v1/cases/${encodeURIComponent(id)}/timeline`);
    if (id !== session.case) return;
    for (const row of timeline.events) addRow(row, false);
  } catch (error) {
    complain(error);
  }
  showCases();
}

async function take(alert) {
  try {
    complain(null);
    await request(`/api/v1/alerts/${encodeURIComponent(alert)}:take`,
                  {method: 'POST', body: '{}', headers: {'Content-Type': 'application/json', 'Idempotency-Key': crypto.randomUUID()}});
    await refreshCase();
  } catch (error) {
    complain(error);
  }
}

async function refreshCases() {
  cases = (await read(`/api/v1/schools/${encodeURIComponent(session.school)}/cases`)).cases;
  showCases();
  if (!session.case && cases.length > 0) await choose(cases[0].case_id);
}

// Many events come together; the page reads again once they have.
let refreshing = 0;
function refreshSoon() {
  clearTimeout(refreshing);
  refreshing = setTimeout(() => Promise.all([refreshCases(), refreshCase()]).catch(complain), 200);
}

function onEvent(event) {
  if (event.id) lastEvent = event.id;
  if (!event.data) return;
  const row = JSON.parse(event.data);
  if (row.case_id && row.case_id === session.case) addRow(row, true);
  refreshSoon();
}

// EventSource cannot send a token, so the stream is read by hand.
async function follow() {
  for (;;) {
    try {
      const headers = lastEvent ? {'Last-Event-ID': lastEvent} : {};
      const response = await request(`/api/v1/events?school=${encodeURIComponent(session.school)}`, {headers});
      element('live').textContent = '● ' + t('live');
      element('live').className = 'green';
      refreshSoon();
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let text = '';
      for (;;) {
        const {done, value} = await reader.read();
        if (done) break;
        text += value;
        for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
          const event = {};
          for (const line of text.slice(0, end).split('\n')) {
            const colon = line.indexOf(': ');
            if (colon > 0) event[line.slice(0, colon)] = line.slice(colon + 2);
          }
          text = text.slice(end + 2);
          onEvent(event);
        }
      }
    } catch (error) {
      if (error.status === 401 || error.status === 403) return complain(error);
    }
    element('live').textContent = '○ ' + t('lost');
    element('live').className = 'amber';
    await new Promise((resume) => setTimeout(resume, 1000));
  }
}

async function start() {
  showWords();
  session.school = session.school || (claims().school !== '*' && claims().school) || '';
  element('sign-in').hidden = Boolean(session.token && session.school);
  if (!session.token || !session.school) return;
  showWords();
  try {
    complain(null);
    await readClock();
    await refreshCases();
    if (session.case) await choose(session.case);
  } catch (error) {
    complain(error);
  }
  follow();
}

element('sign-in-form').onsubmit = (event) => {
  event.preventDefault();
  session.token = element('token').value.trim();
  session.school = element('school').value.trim();
  sessionStorage.setItem('token', session.token);
  sessionStorage.setItem('school', session.school);
  element('token').value = '';
  start();
};
element('language').onclick = () => {
  language = language === 'zh' ? 'en' : 'zh';
  sessionStorage.setItem('lang', language);
  showWords();
  showCases();
  showCase();
  if (session.case) choose(session.case);
};
setInterval(() => {
  if (domainClock) element('now').textContent = formatTime(new Date(domainNow()).toISOString());
  showClocks();
}, 1000);
setInterval(() => { if (domainClock) readClock().catch(() => {}); }, 5000);
start();
