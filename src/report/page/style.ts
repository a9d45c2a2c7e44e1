/** The look of the map's page; light or dark as the reader's system is. */
import { palette } from "../picture/document.ts";

export const pageStyle = `${palette(":root")}
*{box-sizing:border-box}
html{color-scheme:light dark}
body{margin:0;height:100vh;display:flex;flex-direction:column;background:var(--page);color:var(--ink);font:14px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
header{display:flex;flex-wrap:wrap;gap:12px 24px;align-items:end;justify-content:space-between;padding:14px 20px 12px;border-bottom:1px solid var(--line)}
h1{font-size:18px;margin:0}
header p{margin:2px 0 0;color:var(--faint)}
.tools{display:flex;flex-wrap:wrap;gap:12px;align-items:center}
input,button{font:inherit;color:inherit;background:var(--card);border:1px solid var(--line);border-radius:6px;padding:5px 10px}
input{width:18em;margin-left:4px}
button{cursor:pointer}
:focus-visible{outline:2px solid var(--some);outline-offset:1px}
[role=tablist]{display:inline-flex}
[role=tab]{border-radius:0;margin-left:-1px}
[role=tab]:first-child{border-radius:6px 0 0 6px}
[role=tab]:last-child{border-radius:0 6px 6px 0}
[role=tab][aria-selected=true]{background:var(--some);border-color:var(--some);color:#fff}
main{flex:1;min-height:0;display:flex}
section{flex:1;min-width:0;overflow:auto;padding:0}
section[hidden]{display:none}
#matrix,#list{display:flex;flex-direction:column;padding:12px 20px 0}
#matrix[hidden],#list[hidden]{display:none}
.scroll{overflow:auto;flex:1;min-height:0}
.legend{margin:0 0 10px;color:var(--faint)}
.key{display:inline-block;width:12px;height:12px;border-radius:3px;background:var(--none);margin:0 2px 0 10px;vertical-align:-1px}
.any{background:var(--any)}.wide{background:var(--wide)}.some{background:var(--some)}
caption{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
#grid{border-collapse:separate;border-spacing:1px;font-size:12px}
#grid th{font-weight:400;white-space:nowrap;background:var(--page);text-align:left}
#grid thead th{position:sticky;top:0;z-index:2;vertical-align:bottom;height:150px;padding:0}
#grid thead th div{width:19px}
#grid thead th span{display:inline-block;writing-mode:vertical-rl;transform:rotate(180deg);max-height:150px;overflow:hidden;text-overflow:ellipsis;padding-top:4px}
#grid tbody th{position:sticky;left:0;z-index:1;padding:0 8px 0 0;max-width:260px;overflow:hidden;text-overflow:ellipsis}
#grid thead td{position:sticky;left:0;top:0;z-index:3;background:var(--page)}
#grid tbody th button,#grid thead th button{border:0;padding:0 2px;background:none;font-weight:600}
#grid td.cell{width:19px;min-width:19px;height:19px;border-radius:3px;background:var(--none);padding:0}
#grid td.cell.any{background:var(--any)}#grid td.cell.wide{background:var(--wide)}#grid td.cell.some{background:var(--some)}
#grid td.cell.self{background:none}
#grid td.cell:hover,#grid td.cell:focus{outline:2px solid var(--ink);outline-offset:-1px}
#grid tr:hover th{color:var(--some)}
#rows{border-collapse:collapse;min-width:60%}
#rows th{position:sticky;top:0;background:var(--page);text-align:left;padding:4px 28px 4px 0;border-bottom:1px solid var(--line)}
#rows td{padding:3px 28px 3px 0;border-bottom:1px solid var(--none);vertical-align:top}
#more{color:var(--faint)}
footer{padding:8px 20px;border-top:1px solid var(--line);min-height:38px;max-height:30vh;overflow:auto;color:var(--faint)}
footer b{color:var(--ink);font-weight:600}
#picture svg{display:block;margin-top:-44px}
#picture .head,#picture .summary{display:none}
#picture .dim{opacity:.12}
@media print{body{height:auto}.tools,footer{display:none}section,.scroll{overflow:visible}}`;
