import type { Connectivity } from "../policy/analyze/types.ts";
import { connectivitySvg } from "./svg.ts";
export const connectivityHtml = (map: Connectivity): string => connectivitySvg(map);
