'use strict';
// Replaces the parts of the page as the daemon tells of them, and says when the daemon tells nothing any more.
(() => {
  const silence = 12000; // the daemon speaks every five seconds
  const byId = (id) => document.getElementById(id);
  const banner = byId('lost'), sign = byId('live'), build = document.documentElement.dataset.page;
  let source, heard = Date.now(), ahead = 0, title = document.title, lost = false;
  let icon = document.querySelector('link[rel=icon]').href;

  const two = (n) => String(n).padStart(2, '0');
  const span = (s) => {
    s = Math.max(0, Math.round(s));
    if (s < 60) return s + ' s';
    if (s < 3600) return Math.floor(s / 60) + ' min ' + (s % 60) + ' s';
    return Math.floor(s / 3600) + ' h ' + Math.floor(s % 3600 / 60) + ' min';
  };

  // times writes the ages and the countdowns, by the clock of the daemon.
  const times = () => {
    const now = Date.now() + ahead;
    for (const t of document.querySelectorAll('time.age, time.left')) {
      const away = (Date.parse(t.dateTime) - now) / 1000;
      const text = t.className === 'age' ? span(-away) + ' ago' : away > 0 ? 'in ' + span(away) : 'now';
      if (t.textContent !== text) t.textContent = text;
    }
  };

  const tell = (is) => {
    lost = is;
    document.body.classList.toggle('islost', is);
    sign.hidden = is;
    banner.hidden = !is;
    if (is) {
      const at = new Date(heard + ahead);
      banner.textContent = '✗ Connection lost since ' + two(at.getUTCHours()) + ':' + two(at.getUTCMinutes()) + ':' +
        two(at.getUTCSeconds()) + ' UTC. The page shows the state of that time, and tries again every five seconds.';
    }
    document.title = is ? '✗ connection lost · ' + title : title;
  };

  const hear = (now) => {
    heard = Date.now();
    ahead = now - heard;
    tell(false);
  };

  const take = (event) => {
    const told = JSON.parse(event.data);
    if (told.build !== build) return location.reload(); // another version of the daemon
    for (const [name, html] of Object.entries(told.parts || {})) byId('part-' + name).innerHTML = html;
    if (told.title) title = told.title;
    if (told.icon && told.icon !== icon) document.querySelector('link[rel=icon]').href = icon = told.icon;
    hear(told.now);
    times();
  };

  let tried = 0;
  const connect = () => {
    if (source) source.close();
    tried = Date.now();
    source = new EventSource('/events');
    source.addEventListener('page', take);
    source.onerror = () => tell(true);
  };

  const watch = () => {
    if (!lost && Date.now() - heard > silence) tell(true);
    if (lost && Date.now() - tried >= 5000) connect();
    if (!lost) times();
  };

  document.addEventListener('visibilitychange', () => { if (!document.hidden) watch(); });
  connect();
  setInterval(watch, 1000);
})();
