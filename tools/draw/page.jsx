// A dashboard's JSON as Grafana shows it: its queries, transformations, field options and panels.
// The panel plugins themselves are not published, so their defaults and the heatmap stand here.
import React from 'react';
import { createRoot } from 'react-dom/client';
import { firstValueFrom } from 'rxjs';
import {
  applyFieldOverrides, createTheme, dateTime, EventBusSrv, FieldConfigOptionsRegistry, FieldType, getDisplayProcessor,
  getDisplayValueAlignmentFactors, getFieldDisplayName, getFieldDisplayValues, standardFieldConfigEditorRegistry,
  standardTransformers, standardTransformersRegistry, ThemeContext, toDataFrame, transformDataFrame,
} from '@grafana/data';
import { BigValue, GlobalStyles, Icon, PanelChrome, PanelContextProvider, TimeSeries, VizRepeater } from '@grafana/ui';
import { TableNG } from '@grafana/ui/unstable';

const { dashboard, from, to, step, scrape, variables, mode, open } = window.job;
const theme = createTheme({ colors: { mode } });
const [ROW, GAP, COLUMNS] = [30, 8, 24];
window.__grafana_public_path__ = 'public/';

const option = (path, isCustom) => ({ id: isCustom ? `custom.${path}` : path, path, name: path, isCustom, process: (value) => value, shouldApply: () => true });
const PLAIN = ['displayName', 'unit', 'decimals', 'min', 'max', 'color', 'thresholds', 'mappings', 'links', 'noValue', 'description'];
const CUSTOM = ['drawStyle', 'lineInterpolation', 'lineWidth', 'lineStyle', 'fillOpacity', 'fillBelowTo', 'gradientMode', 'pointSize', 'showPoints', 'spanNulls',
  'insertNulls', 'stacking', 'axisPlacement', 'axisLabel', 'axisColorMode', 'axisBorderShow', 'axisCenteredZero', 'axisSoftMin', 'axisSoftMax', 'scaleDistribution',
  'hideFrom', 'thresholdsStyle', 'align', 'cellOptions', 'width', 'inspect', 'filterable', 'barAlignment'];
standardFieldConfigEditorRegistry.setInit(() => PLAIN.map((path) => option(path, false)));
const registry = new FieldConfigOptionsRegistry(() => [...PLAIN.map((path) => option(path, false)), ...CUSTOM.map((path) => option(path, true))]);
standardTransformersRegistry.setInit(() => [...new Map(Object.values(standardTransformers).map((one) => [one.id, one])).values()]
  .map((one) => ({ id: one.id, name: one.name, transformation: async () => one })));

const LINE = {
  drawStyle: 'line', lineInterpolation: 'linear', lineWidth: 1, fillOpacity: 0, gradientMode: 'none', pointSize: 5, showPoints: 'auto', spanNulls: false, insertNulls: false,
  stacking: { mode: 'none', group: 'A' }, axisPlacement: 'auto', axisColorMode: 'text', axisBorderShow: false, axisCenteredZero: false,
  scaleDistribution: { type: 'linear' }, hideFrom: { legend: false, tooltip: false, viz: false }, thresholdsStyle: { mode: 'off' },
};
const DEFAULTS = {
  timeseries: { color: { mode: 'palette-classic' }, custom: LINE },
  table: { color: { mode: 'thresholds' }, custom: { align: 'auto', cellOptions: { type: 'auto' }, inspect: false, filterable: false } },
  stat: { color: { mode: 'thresholds' } },
};
function fieldConfig(panel) {
  const own = panel.fieldConfig ?? { defaults: {}, overrides: [] }, base = DEFAULTS[panel.type] ?? {};
  return { ...own, defaults: { ...base, ...own.defaults, custom: { ...base.custom, ...own.defaults.custom } } };
}

const filled = (text, more = {}) => String(text).replace(/\$\{(\w+)(?::\w+)?\}|\$(\w+)/g, (whole, braced, bare) => more[braced ?? bare] ?? variables[braced ?? bare] ?? whole);
// The interval between two points: a panel may ask for more than the width of the picture does.
function stepOf(panel) {
  const [, number, unit] = panel.interval?.match(/^(\d+)([smh])$/) ?? [0, 0, 's'];
  return Math.max(step, number * { s: 1, m: 60, h: 3600 }[unit]);
}
const intervals = (each) => ({ __interval: `${each}s`, __interval_ms: each * 1000, __rate_interval: `${Math.max(each + scrape, 4 * scrape)}s` });
const replaced = (text) => filled(text);

async function ask(path, parameters) {
  const answer = await (await fetch(`/api/v1/${path}?${new URLSearchParams(parameters)}`)).json();
  if (answer.status !== 'success') throw new Error(answer.error);
  return answer.data.result;
}
const number = (text) => ({ '+Inf': Infinity, '-Inf': -Infinity })[text] ?? Number(text);
function nameOf(target, labels) {
  if (target.legendFormat && target.legendFormat !== '__auto') return target.legendFormat.replace(/\{\{\s*([^}]+?)\s*\}\}/g, (_, label) => labels[label] ?? '');
  return Object.entries(labels).map(([label, value]) => `${label}="${value}"`).join(', ') || 'Value';
}
const valueField = (name, labels, values) => ({ name: 'Value', type: FieldType.number, labels, config: { displayNameFromDS: name }, values });
const timeField = (values, config = {}) => ({ name: 'Time', type: FieldType.time, config, values });

function tableFrame(target, found, named) {
  const labels = [...new Set(found.flatMap((one) => Object.keys(one.metric)))].sort();
  return toDataFrame({ refId: target.refId, fields: [
    timeField(found.map((one) => one.value[0] * 1000)),
    ...labels.map((label) => ({ name: label, type: FieldType.string, config: {}, values: found.map((one) => one.metric[label] ?? '') })),
    { name: named ? `Value #${target.refId}` : 'Value', type: FieldType.number, config: {}, values: found.map((one) => number(one.value[1])) }] });
}
function seriesFrame(target, one, each) {
  const times = [], values = [];
  for (const [at, value] of one.values) {
    while (times.length && at * 1000 - times.at(-1) > each * 1000) { times.push(times.at(-1) + each * 1000); values.push(null); }
    times.push(at * 1000); values.push(Number.isFinite(number(value)) ? number(value) : null);
  }
  const name = nameOf(target, one.metric);
  return toDataFrame({ refId: target.refId, name, fields: [timeField(times, { interval: each * 1000 }), valueField(name, one.metric, values)] });
}
async function framesOf(target, named, each) {
  const query = filled(target.expr, intervals(each));
  if (!target.instant) {
    const end = Math.floor(to / 1000 / each) * each, begin = end - Math.floor((to - from) / 1000 / each) * each;  // as Grafana aligns them
    return (await ask('query_range', { query, start: begin, end, step: each })).map((one) => seriesFrame(target, one, each));
  }
  const found = await ask('query', { query, time: to / 1000 });
  if (target.format === 'table') return found.length ? [tableFrame(target, found, named)] : [];
  return found.map((one) => toDataFrame({ refId: target.refId, name: nameOf(target, one.metric), fields: [timeField([one.value[0] * 1000]), valueField(nameOf(target, one.metric), one.metric, [number(one.value[1])])] }));
}
async function dataOf(panel, notes) {
  let frames = [];
  const targets = (panel.targets ?? []).filter((target) => !target.hide);
  for (const target of targets) {
    try { frames.push(...await framesOf(target, targets.length > 1, stepOf(panel))); } catch (error) { notes.push(`${target.refId}: ${error.message}`); }
  }
  if (panel.type === 'heatmap') return frames;
  const steps = panel.transformations ?? [];
  if (steps.length && frames.length) frames = await firstValueFrom(transformDataFrame(steps, frames, { interpolate: filled }));
  frames = applyFieldOverrides({ data: frames, fieldConfig: fieldConfig(panel), fieldConfigRegistry: registry, replaceVariables: replaced, theme, timeZone: 'utc' });
  let place = 0;
  for (const frame of frames) for (const field of frame.fields) {
    getFieldDisplayName(field, frame, frames);
    if (field.type === FieldType.number) field.state = { ...field.state, seriesIndex: place++ };
  }
  return frames;
}

const range = { from: dateTime(from), to: dateTime(to), raw: { from: dateTime(from), to: dateTime(to) } };
function Stat({ panel, frames, width, height }) {
  const options = panel.options ?? {}, config = fieldConfig(panel);
  const values = getFieldDisplayValues({ fieldConfig: config, reduceOptions: options.reduceOptions ?? { calcs: ['lastNotNull'] }, replaceVariables: replaced,
    theme, data: frames, sparkline: options.graphMode !== 'none', timeZone: 'utc' });
  const factors = getDisplayValueAlignmentFactors(values);
  return <VizRepeater getValues={() => values} getAlignmentFactors={() => factors} width={width} height={height} source={frames} itemSpacing={3} autoGrid orientation={options.orientation ?? 'auto'} renderCounter={0}
    renderValue={(one) => <BigValue value={one.value.display} count={one.count} sparkline={one.value.sparkline} colorMode={options.colorMode} graphMode={options.graphMode} justifyMode={options.justifyMode}
      text={options.text} textMode={(options.textMode ?? 'auto') === 'auto' ? (one.count > 1 ? 'value_and_name' : 'value') : options.textMode} alignmentFactors={factors} width={one.width} height={one.height} theme={theme} />} />;
}

// Cells of a histogram over time: the buckets are cumulative, so each is taken less the one below.
function Heatmap({ panel, frames, width, height }) {
  const buckets = frames.map((frame) => ({ le: number(frame.fields[1].labels.le), frame })).sort((a, b) => a.le - b.le);
  const counts = buckets.map(({ frame }) => new Map(frame.fields[0].values.map((at, i) => [at, frame.fields[1].values[i]])));
  const times = [...new Set(counts.flatMap((one) => [...one.keys()]))].sort((a, b) => a - b);
  const cells = buckets.map((_, i) => times.map((at) => Math.max(0, (counts[i].get(at) ?? 0) - (i ? counts[i - 1].get(at) ?? 0 : 0))));
  const filledRows = cells.map((row, i) => (row.some((value) => value > 0) ? i : -1)).filter((i) => i >= 0);
  const [low, high] = [filledRows[0] ?? 0, filledRows.at(-1) ?? 0], rows = high - low + 1;
  const most = Math.max(...cells.flat()), [left, bottom] = [70, 22];
  const show = getDisplayProcessor({ field: { type: FieldType.number, config: { unit: panel.options?.yAxis?.unit, decimals: panel.options?.yAxis?.decimals }, values: [] }, theme });
  const paint = (canvas) => {
    if (!canvas) return;
    const ratio = window.devicePixelRatio; canvas.width = width * ratio; canvas.height = height * ratio;
    const pen = canvas.getContext('2d'); pen.scale(ratio, ratio); pen.font = '12px Inter'; pen.fillStyle = theme.colors.text.primary;
    const [wide, tall] = [(width - left) / times.length, (height - bottom) / rows];
    for (let row = low; row <= high; row++) {
      const y = height - bottom - (row - low + 1) * tall;
      times.forEach((_, i) => {
        const share = cells[row][i] / most;
        if (share <= 0) return;
        const hue = mode === 'dark' ? [[38, 50, 76], [110, 159, 255], [235, 245, 255]] : [[222, 235, 247], [87, 148, 242], [8, 48, 107]], at = Math.sqrt(share) * 2;
        const [one, two] = at < 1 ? [hue[0], hue[1]] : [hue[1], hue[2]];
        pen.fillStyle = `rgb(${one.map((value, k) => Math.round(value + (two[k] - value) * (at % 1 || (at >= 1 ? at - 1 : 0)))).join()})`;
        pen.fillRect(left + i * wide, y, Math.ceil(wide), Math.max(1, tall - 1));
      });
      pen.fillStyle = theme.colors.text.primary; pen.textAlign = 'right';
      const shown = Number.isFinite(buckets[row].le) ? show(buckets[row].le) : { text: '+Inf', suffix: '' };
      if (rows < 12 || (row - low) % 2 === 0) pen.fillText(`${shown.text}${shown.suffix ?? ''}`, left - 8, Math.max(10, y + 4));
    }
    pen.textAlign = 'center';
    for (let i = 1; i < 6; i++) pen.fillText(new Date(from + ((to - from) * i) / 6).toISOString().slice(11, 16), left + ((width - left) * i) / 6, height - 4);
  };
  return <canvas ref={paint} style={{ width, height }} />;
}

const Text = ({ panel }) => <div style={{ padding: 4 }} dangerouslySetInnerHTML={{ __html: filled(panel.options.content)
  .replace(/\[([^\]]+)\]\(([^)]+)\)/g, `<a style="color:${theme.colors.text.link}">$1</a>`).replace(/\*\*([^*]+)\*\*/g, '<b>$1</b>').replace(/`([^`]+)`/g, '<code>$1</code>') }} />;
const Empty = ({ panel }) => <div style={{ display: 'flex', alignItems: 'center', justifyContent: 'center', height: '100%', padding: 12, textAlign: 'center', color: theme.colors.text.secondary }}>
  {panel.fieldConfig?.defaults?.noValue ?? 'No data'}</div>;
function Shown(all) {
  const { panel, frames, width, height } = all;
  if (panel.type === 'text') return <Text panel={panel} />;
  if (panel.type === 'stat') return <Stat {...all} />;
  if (panel.type === 'alertlist') return <div style={{ padding: 12 }}>(alerts that fire: Grafana lists them here)</div>;
  if (!frames.length || frames.every((frame) => !frame.length)) return <Empty panel={panel} />;
  if (panel.type === 'heatmap') return <Heatmap {...all} />;
  if (panel.type === 'timeseries')
    return <TimeSeries frames={frames} timeRange={range} timeZone="utc" width={width} height={height} legend={panel.options?.legend ?? { showLegend: true, displayMode: 'list', placement: 'bottom', calcs: [] }} theme={theme} options={panel.options} />;
  return <TableNG data={frames[0]} width={width} height={height} cellHeight="sm" fieldConfig={fieldConfig(panel)} sortBy={panel.options?.sortBy} structureRev={1} enableVirtualization={false} noValue="" />;
}
class Fence extends React.Component {
  state = {};
  static getDerivedStateFromError(error) { return { error }; }
  componentDidCatch(error) { console.error(`panel ${this.props.title}: ${error.stack}`); }
  render() { return this.state.error ? <pre>{String(this.state.error)}</pre> : this.props.children; }
}
function Controls() {
  const box = { border: `1px solid ${theme.colors.border.medium}`, borderRadius: 2, padding: '4px 8px' };
  return <div style={{ display: 'flex', gap: 8, flexWrap: 'wrap', paddingBottom: GAP, alignItems: 'center' }}><b style={{ fontSize: 18, marginRight: 16 }}>{dashboard.title}</b>
    {dashboard.templating.list.filter((one) => one.hide !== 2).map((one) => <span key={one.name} style={{ display: 'flex' }}>
      <span style={{ ...box, background: theme.colors.background.secondary }}>{one.label ?? one.name}</span><span style={box}>{one.current?.text ?? one.query ?? ''}</span></span>)}
    {(dashboard.links ?? []).map((one) => <span key={one.title} style={{ ...box, color: theme.colors.text.link }}>{one.title}</span>)}
    <span style={{ ...box, marginLeft: 'auto' }}>{new Date(from).toISOString().slice(11, 16)} to {new Date(to).toISOString().slice(11, 16)} UTC</span></div>;
}
function Tile({ panel, frames, notes, width, height }) {
  if (panel.type === 'row') return <div style={{ display: 'flex', alignItems: 'center', gap: 8, height, fontSize: 16, fontWeight: 500 }}>
    <Icon name={panel.collapsed && !open ? 'angle-right' : 'angle-down'} />{panel.title}{panel.collapsed && !open ? <small style={{ color: theme.colors.text.secondary }}>({panel.panels.length} panels)</small> : null}</div>;
  return <PanelChrome title={panel.title} description={panel.description} width={width} height={height} displayMode={panel.transparent ? 'transparent' : 'default'} padding={panel.type === 'table' ? 'none' : 'md'} statusMessage={notes.join('; ') || undefined}>
    {(wide, tall) => <Fence title={panel.title}><Shown panel={panel} frames={frames} width={wide} height={tall} /></Fence>}</PanelChrome>;
}

// A folded row's panels lie below it once it is opened, and push down what follows.
function placed(all) {
  let shift = 0;
  const out = [];
  for (const panel of all) {
    out.push({ ...panel, gridPos: { ...panel.gridPos, y: panel.gridPos.y + shift } });
    if (!open || !panel.panels?.length) continue;
    const top = panel.gridPos.y + 1, first = Math.min(...panel.panels.map((one) => one.gridPos.y));
    const inner = panel.panels.map((one) => ({ ...one, gridPos: { ...one.gridPos, y: one.gridPos.y - first + top + shift } }));
    out.push(...inner);
    shift += Math.max(...inner.map((one) => one.gridPos.y + one.gridPos.h)) - (top + shift);
  }
  return out;
}
async function draw() {
  const wide = document.documentElement.clientWidth - 32, column = (wide - GAP * (COLUMNS - 1)) / COLUMNS, tiles = [];
  for (const panel of placed(dashboard.panels)) {
    const notes = [], frames = ['row', 'text', 'alertlist'].includes(panel.type) ? [] : await dataOf(panel, notes), place = panel.gridPos;
    const size = { width: place.w * column + (place.w - 1) * GAP, height: place.h * ROW + (place.h - 1) * GAP };
    tiles.push({ panel, frames, notes, ...size, left: place.x * (column + GAP), top: place.y * (ROW + GAP) });
  }
  window.panels = tiles.filter((tile) => tile.panel.type !== 'row').map(({ panel, frames, notes }) => ({ id: panel.id, title: panel.title, series: frames.length, notes,
    names: frames.slice(0, 30).map((frame) => frame.name) }));
  const bottom = Math.max(...tiles.map((tile) => tile.top + tile.height)) + GAP;
  createRoot(document.getElementById('root')).render(<ThemeContext.Provider value={theme}><GlobalStyles isExtensionSidebarOpen={false} />
    <PanelContextProvider value={{ eventsScope: 'draw', eventBus: new EventBusSrv(), sync: () => 0, canAddAnnotations: () => false }}><div style={{ padding: 16 }}><Controls />
      <div style={{ position: 'relative', width: wide, height: bottom }}>{tiles.map((tile, i) => <div key={i} id={`panel-${tile.panel.id ?? i}`} data-type={tile.panel.type} style={{ position: 'absolute', left: tile.left, top: tile.top, width: tile.width, height: tile.height }}>
        <Tile {...tile} /></div>)}</div></div></PanelContextProvider></ThemeContext.Provider>);
  setTimeout(() => { window.drawn = true; }, 1500);
}
draw().catch((error) => { console.error(error.stack); window.drawn = true; });
