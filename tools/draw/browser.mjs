// Opens page.jsx in a browser without a window and takes the pictures that a job asks for.
//   node browser.mjs job.json
// A job: {dashboard, prometheus, from, to, step, variables, mode, width, open, shots: [{file, panel?, height?, all?}]}
import fs from 'node:fs';
import path from 'node:path';
import { build } from 'esbuild';
import { chromium } from 'playwright-core';

const here = import.meta.dirname;
const modules = (...parts) => path.join(here, 'node_modules', ...parts);
const job = JSON.parse(fs.readFileSync(process.argv[2]));

// What @grafana/ui brings and no panel needs: the code editor and maps.
const leftOut = {
  name: 'left-out',
  setup(builder) {
    builder.onResolve({ filter: /^(monaco-editor|@monaco-editor\/react|ol)(\/|$)/ }, (found) => ({ path: found.path, namespace: 'left-out' }));
    builder.onLoad({ filter: /.*/, namespace: 'left-out' }, () => ({ contents: 'module.exports = {}', loader: 'js' }));
  },
};

async function bundle() {
  const made = path.join(here, 'page.js');
  if (fs.existsSync(made) && fs.statSync(made).mtimeMs > fs.statSync(path.join(here, 'page.jsx')).mtimeMs) return made;
  await build({
    entryPoints: [path.join(here, 'page.jsx')], outfile: made, bundle: true, format: 'esm', jsx: 'automatic', logLevel: 'error',
    define: { 'process.env.NODE_ENV': '"production"', global: 'window' },
    loader: { '.js': 'jsx', '.svg': 'dataurl', '.ttf': 'empty', '.css': 'empty' }, plugins: [leftOut],
  });
  return made;
}

const weights = { Light: 300, Regular: 400, Medium: 500, SemiBold: 600, Bold: 700 };
const font = (weight) => fs.readFileSync(modules('@fontsource/inter/files', `inter-latin-${weight}-normal.woff2`));
const styles = ['uplot/dist/uPlot.min.css', '@grafana/react-data-grid/lib/styles.css'].map((file) => fs.readFileSync(modules(file))).join('\n');
const page = `<!doctype html><meta charset=utf-8><style>
${[400, 500].map((weight) => `@font-face{font-family:Inter;font-weight:${weight};src:url(/font/${weight})}`).join('')}
${styles} html{font-size:14px} body{margin:0}</style><div id=root></div>
<script>window.process={env:{}};window.job=${JSON.stringify(job).replace(/</g, '\\u003c')}</script><script type=module src=/page.js></script>`;

const script = await bundle();
const browser = await chromium.launch({ executablePath: job.browser, args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-sync'] });
const tab = await browser.newPage({ viewport: { width: job.width, height: 1080 } });
const problems = new Map();
const note = (text) => problems.set(text.slice(0, 300), (problems.get(text.slice(0, 300)) ?? 0) + 1);
tab.on('pageerror', (error) => note(`error: ${error.stack}`));
tab.on('console', (line) => { if (['error', 'warning'].includes(line.type())) note(`${line.type()}: ${line.text()}`); });

const answers = {
  '/': () => ({ contentType: 'text/html', body: page }),
  '/page.js': () => ({ contentType: 'text/javascript', body: fs.readFileSync(script) }),
};
async function answer(url) {
  if (answers[url.pathname]) return answers[url.pathname]();
  if (url.pathname.startsWith('/api/v1/')) {
    const found = await fetch(job.prometheus + url.pathname, { method: 'POST', body: url.searchParams });
    return { status: found.status, contentType: 'application/json', body: await found.text() };
  }
  if (/fonts?\//.test(url.pathname)) {
    const weight = url.pathname.match(/\d{3}/)?.[0] ?? weights[url.pathname.match(/-(\w+)\./)?.[1]] ?? 400;
    return { contentType: 'font/woff2', body: font([400, 500].includes(Number(weight)) ? weight : 400) };
  }
  const icon = modules('@grafana/ui/dist/public', url.pathname.slice(url.pathname.indexOf('/img/')));
  if (url.pathname.includes('/img/') && fs.existsSync(icon)) return { contentType: 'image/svg+xml', body: fs.readFileSync(icon) };
  return { status: 404, body: '' };
}
await tab.clock.setFixedTime(job.to);  // "an hour ago" is said of the end of the history
await tab.route('**/*', async (route) => route.fulfill(await answer(new URL(route.request().url()))));

await tab.goto('http://draw.invalid/');
await tab.waitForFunction(() => window.drawn, null, { timeout: 120000 });
const height = await tab.evaluate(() => document.documentElement.scrollHeight);
await tab.setViewportSize({ width: job.width, height });
await tab.waitForTimeout(900);
// Where a picture may end: at the top of a panel that no other crosses, and not between a heading and what it is of.
const edges = await tab.evaluate(() => {
  const boxes = [...document.querySelectorAll('[id^="panel-"]')].map((one) => {
    const { top, bottom } = one.getBoundingClientRect();
    return { top: top + window.scrollY, bottom: bottom + window.scrollY + (one.dataset.type === 'row' ? 16 : 0) };
  });
  return [...new Set(boxes.map((one) => one.top))].filter((y) => boxes.every((one) => one.top >= y || one.bottom <= y)).sort((a, b) => a - b);
});
function screens(tall) {
  const cuts = [0];
  while (height - cuts.at(-1) > tall) cuts.push(edges.filter((y) => y > cuts.at(-1) && y <= cuts.at(-1) + tall).at(-1) ?? cuts.at(-1) + tall);
  return cuts.map((y, i) => [y, (cuts[i + 1] ?? height) - y]);
}
for (const shot of job.shots) {
  if (shot.panel) { await tab.locator(`[id="${shot.panel}"]`).screenshot({ path: shot.file }); continue; }
  const parts = shot.all ? screens(shot.height) : [[0, Math.min(shot.height ?? height, height)]];
  for (const [number, [y, tall]] of parts.entries()) {
    const file = shot.all ? shot.file.replace(/\.png$/, `-${number + 1}.png`) : shot.file;
    await tab.screenshot({ path: file, fullPage: true, clip: { x: 0, y, width: job.width, height: tall } });
  }
}
console.log(JSON.stringify({ height, panels: await tab.evaluate(() => window.panels), problems: Object.fromEntries(problems) }));
await browser.close();
