/** The page's style. Colours differ in lightness, too, for readers who confuse hues. */
import { Html } from "./html.ts";

const LIGHT =
  `--paper:#fbfaf7;--card:#fff;--ink:#1d2327;--soft:#586069;--line:#dcdad3;--faint:#8d8b84;
--good:#1c7a5e;--good-ink:#fff;--crash:#f2b233;--crash-ink:#2a1c00;--bare:#9a1b46;--bare-ink:#fff;
--open:#6a6f76;--open-ink:#fff;--runs:#9fb8c9;--stops:#d9822b;--frozen:#3f6fb5;--accent:#1f5fa8`;

const DARK =
  `--paper:#14181b;--card:#1d2327;--ink:#e8e6e1;--soft:#a3abb3;--line:#343b41;--faint:#747d86;
--good:#3fae8a;--good-ink:#06231a;--crash:#f4bd4f;--crash-ink:#2a1c00;--bare:#e3688f;--bare-ink:#2b0311;
--open:#949ba3;--open-ink:#14181b;--runs:#4d6b80;--stops:#e89a48;--frozen:#7aa6e6;--accent:#8bb8f0`;

/** For screens of every width, light and dark, and for paper. */
export const STYLE: Html = new Html(`
:root{color-scheme:light dark;${LIGHT}}
@media (prefers-color-scheme:dark){:root{${DARK}}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
main{max-width:68rem;margin:0 auto;padding:1.5rem 1rem 3rem}
h1{font-size:1.6rem;line-height:1.2;margin:0 0 .25rem;overflow-wrap:anywhere}
h2{font-size:1.15rem;margin:2.25rem 0 .75rem}
p{margin:0 0 .5rem}
a{color:var(--accent)}
a:focus-visible,summary:focus-visible,tr:target{outline:3px solid var(--accent);outline-offset:2px}
.soft,.aside,footer,.more{color:var(--soft)}
.unseen,.skip:not(:focus){position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
.skip:focus{display:inline-block;padding:.25rem .5rem;background:var(--card)}
.shapes{position:absolute}
.stroke{fill:none;stroke:currentColor;stroke-width:2.6;stroke-linecap:round;stroke-linejoin:round}
.shape{width:14px;height:14px;display:block}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(15rem,1fr));gap:.75rem;margin:1.25rem 0 0;padding:0}
.tiles div{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:.7rem .9rem}
.tiles dt{color:var(--soft);font-size:.85rem}
.tiles dd{margin:0;font-size:1.25rem;font-weight:600;line-height:1.3}
.tiles .badge{font-size:1rem;line-height:1.625;white-space:nowrap}
.tiles dd small{display:block;font-size:.85rem;font-weight:400;color:var(--soft)}
.badge{display:inline-flex;vertical-align:bottom;align-items:center;gap:.4rem;font-weight:600}
.chip{display:inline-flex;align-items:center;justify-content:center;width:20px;height:20px;border-radius:5px;flex:none}
.good{--fill:var(--good);--on:var(--good-ink)}.crash{--fill:var(--crash);--on:var(--crash-ink)}
.bare{--fill:var(--bare);--on:var(--bare-ink)}.open{--fill:var(--open);--on:var(--open-ink)}
.chip.good,.chip.crash,.chip.bare,.chip.open,td.good,td.crash,td.bare,td.open{background:var(--fill);color:var(--on)}
.chip.none{border:2px dashed var(--faint)}
.legend{display:flex;flex-wrap:wrap;gap:.35rem 1.1rem;list-style:none;margin:0 0 .9rem;padding:0;font-size:.9rem}
.legend li{display:inline-flex;align-items:center;gap:.4rem}
.months{display:flex;flex-wrap:wrap;gap:1.25rem 1.75rem;align-items:flex-start}
details .months{padding:.5rem 0}
.month{border-collapse:separate;border-spacing:3px;table-layout:fixed;width:calc(7*34px + 24px)}
.month caption{text-align:left;font-weight:600;padding:0 3px .2rem}
.month th{font-size:.75rem;font-weight:400;color:var(--soft);padding:0}
.month td{height:34px;padding:0;border-radius:6px;text-align:center;vertical-align:middle;font-size:.7rem;line-height:1.15;position:relative}
.month td.outside{color:var(--faint)}
.month td.none{border:2px dashed var(--faint);color:var(--soft)}
.month td .number{display:block}
.month td .shape{width:12px;height:12px;margin:0 auto}
.month td a{display:block;color:inherit;text-decoration:none;border-radius:6px;padding:4px 0}
.curves{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,26rem),1fr));gap:1.25rem}
figure{margin:0;background:var(--card);border:1px solid var(--line);border-radius:8px;padding:.8rem .9rem}
figcaption .badge+b,.when .badge+b{margin-left:.25rem}
figcaption{font-size:.9rem;margin-bottom:.4rem;overflow-wrap:anywhere}
.plot{display:grid;grid-template-columns:3.4rem 1fr;grid-template-rows:9rem auto}
.axis{position:relative;font-size:.75rem;color:var(--soft)}
.axis span{position:absolute;right:.5rem;transform:translateY(-50%);white-space:nowrap}
.plot svg{width:100%;height:100%;overflow:visible;border-left:1px solid var(--faint)}
.dates{grid-column:2;display:flex;justify-content:space-between;font-size:.75rem;color:var(--soft);padding-top:.25rem}
.grid{stroke:var(--line)}
.usual{stroke:var(--soft);stroke-dasharray:5 4}
.dot{fill:var(--fill);stroke:var(--card);stroke-width:.8}
.waterfall{margin-bottom:.9rem;break-inside:avoid}
.waterfall ol{list-style:none;margin:0;padding:0}
.waterfall li{display:grid;grid-template-columns:11.5rem 1fr 5.5rem;gap:.6rem;align-items:center;font-size:.85rem;padding:1px 0}
.track{position:relative;height:14px;background:linear-gradient(var(--line),var(--line)) 0 50%/100% 1px no-repeat}
.bar{position:absolute;top:0;bottom:0;min-width:3px;border-radius:3px}
.bar.runs{background:var(--runs)}
.bar.stops{background:repeating-linear-gradient(135deg,var(--stops) 0 6px,color-mix(in srgb,var(--stops) 78%,var(--ink)) 6px 8px)}
.bar.frozen{background:repeating-linear-gradient(90deg,var(--frozen) 0 4px,color-mix(in srgb,var(--frozen) 60%,var(--card)) 4px 6px)}
.key.bar{position:static;width:28px;height:14px;display:inline-block}
.span{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.failures{list-style:none;margin:0;padding:0;display:grid;gap:.75rem}
.failures li{background:var(--card);border:1px solid var(--line);border-left:6px solid var(--fill);border-radius:8px;padding:.7rem .9rem;overflow-wrap:anywhere;break-inside:avoid}
.failures p{margin:0 0 .3rem}
.remedy b{color:var(--soft);font-weight:600;margin-right:.4rem}
summary{cursor:pointer;padding:.3rem 0}
.windows{border-collapse:collapse;width:100%;font-size:.85rem}
.windows th,.windows td{text-align:left;padding:.3rem .6rem .3rem 0;border-bottom:1px solid var(--line);vertical-align:top;background:none;color:inherit}
.windows td:nth-child(n+4):nth-child(-n+7),.windows th:nth-child(n+4):nth-child(-n+7){text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
.windows td:last-child{overflow-wrap:anywhere;min-width:12rem}
footer{margin-top:2.5rem;font-size:.85rem}
@media (max-width:52rem){
.windows,.windows tbody{display:block}
.windows thead{position:absolute;clip-path:inset(50%);width:1px;height:1px;overflow:hidden}
.windows tr{display:block;padding:.5rem 0;border-bottom:1px solid var(--line)}
.windows td,.windows td:nth-child(n+4):nth-child(-n+7){display:grid;grid-template-columns:6.5rem 1fr;border:0;padding:.05rem 0;text-align:left}
.windows td:empty{display:none}
.windows td:last-child{min-width:0}
.windows td::before{content:attr(data-label);color:var(--soft)}
}
@media (max-width:34rem){
main{padding:1rem .75rem 2rem}
.tiles{grid-template-columns:repeat(3,1fr);gap:.5rem}
.tiles div{padding:.5rem .6rem}
.tiles div:first-child{grid-column:1/-1}
.tiles dt{overflow-wrap:anywhere}
.tiles dd{font-size:1.05rem}
.waterfall li{grid-template-columns:1fr auto;gap:0 .6rem}
.waterfall .track{grid-column:1/-1;grid-row:2}
}
@media print{
:root{color-scheme:light;${LIGHT}}
body{background:none}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}
body{font-size:11px}
.skip{display:none}
.month,figure{break-inside:avoid}
h2{break-after:avoid}
}
`);
