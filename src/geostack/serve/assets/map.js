"use strict";
// A slippy map in its smallest form: the centre in degrees, a zoom, and the tiles in between.
const TILE = 256, MAX_ZOOM = 17;
const map = document.getElementById("map"), choice = document.getElementById("layer");
const view = { lon: 0, lat: 0, zoom: 2 };
const where = document.getElementById("where"), tiles = new Map(), layers = new Map();

const clampLat = (lat) => Math.max(-85, Math.min(85, lat));
const toWorld = (lon, lat, zoom) => {
  const side = TILE * 2 ** zoom, s = Math.sin(clampLat(lat) * Math.PI / 180);
  return [(lon + 180) / 360 * side, (0.5 - Math.log((1 + s) / (1 - s)) / (4 * Math.PI)) * side];
};
const toDegrees = (x, y, zoom) => {
  const side = TILE * 2 ** zoom, n = Math.PI * (1 - 2 * y / side);
  return [x / side * 360 - 180, Math.atan(Math.sinh(n)) * 180 / Math.PI];
};

function draw() {
  const layer = layers.get(choice.value);
  if (!layer) return;
  const [cx, cy] = toWorld(view.lon, view.lat, view.zoom);
  const left = cx - map.clientWidth / 2, top = cy - map.clientHeight / 2, count = 2 ** view.zoom;
  const wanted = new Set();
  for (let y = Math.floor(top / TILE); y * TILE < top + map.clientHeight; y++)
    for (let x = Math.floor(left / TILE); x * TILE < left + map.clientWidth; x++) {
      if (x < 0 || y < 0 || x >= count || y >= count) continue;
      // With the hash, or a browser would show what it kept of the layer's last configuration.
      const key = `tiles/${layer.name}/${view.zoom}/${x}/${y}.png?v=${layer.config_hash}`;
      wanted.add(key);
      let tile = tiles.get(key);
      if (!tile) {
        tile = new Image(TILE, TILE);
        tile.alt = "";
        tile.draggable = false;
        tile.src = key;
        tiles.set(key, tile);
        map.append(tile);
      }
      tile.style.transform = `translate(${Math.round(x * TILE - left)}px, ${Math.round(y * TILE - top)}px)`;
    }
  for (const [key, tile] of tiles)
    if (!wanted.has(key)) {
      tile.src = ""; // or the ones in view would wait for it
      tile.remove();
      tiles.delete(key);
    }
  where.textContent = `${view.lat.toFixed(4)}, ${view.lon.toFixed(4)}, zoom ${view.zoom}`;
}

function move(dx, dy) {
  const [x, y] = toWorld(view.lon, view.lat, view.zoom);
  [view.lon, view.lat] = toDegrees(x + dx, y + dy, view.zoom);
  view.lat = clampLat(view.lat);
  draw();
}

function zoom(by) {
  view.zoom = Math.max(0, Math.min(MAX_ZOOM, view.zoom + by));
  draw();
}

// Across 180 degrees the map goes to the side that holds more of a box.
const onOneSide = (box) => {
  const [west, south, east, north] = box;
  if (west <= east) return box;
  return 180 - west > east + 180 ? [west, south, 180, north] : [-180, south, east, north];
};

function goTo(layer) {
  const [west, south, east, north] = onOneSide(layer.view || layer.bounds);
  [view.lon, view.lat] = [(west + east) / 2, (south + north) / 2];
  for (view.zoom = MAX_ZOOM; view.zoom > 0; view.zoom--) {
    const [x0, y0] = toWorld(west, north, view.zoom), [x1, y1] = toWorld(east, south, view.zoom);
    if (x1 - x0 <= map.clientWidth && y1 - y0 <= map.clientHeight) break;
  }
  draw();
}

function choose() {
  const layer = layers.get(choice.value), [west, south, east, north] = layer.bounds;
  const lies = west <= view.lon, across = west <= east ? lies && view.lon <= east : lies || view.lon <= east;
  const inside = across && south <= view.lat && view.lat <= north;
  if (inside) draw(); else goTo(layer);
}

let held = null;
map.addEventListener("pointerdown", (e) => { held = [e.clientX, e.clientY]; map.setPointerCapture(e.pointerId); });
map.addEventListener("pointermove", (e) => {
  if (!held) return;
  move(held[0] - e.clientX, held[1] - e.clientY);
  held = [e.clientX, e.clientY];
});
for (const end of ["pointerup", "pointercancel"]) map.addEventListener(end, () => { held = null; });
map.addEventListener("wheel", (e) => { e.preventDefault(); zoom(e.deltaY < 0 ? 1 : -1); }, { passive: false });
map.addEventListener("keydown", (e) => {
  const steps = { ArrowLeft: [-96, 0], ArrowRight: [96, 0], ArrowUp: [0, -96], ArrowDown: [0, 96] };
  if (e.key in steps) { e.preventDefault(); move(...steps[e.key]); }
  if (e.key === "+" || e.key === "=") zoom(1);
  if (e.key === "-") zoom(-1);
});
document.getElementById("in").addEventListener("click", () => zoom(1));
document.getElementById("out").addEventListener("click", () => zoom(-1));
choice.addEventListener("change", choose);
window.addEventListener("resize", draw);

fetch("layers").then((answer) => answer.json()).then((told) => {
  for (const layer of told.layers.filter((each) => each.bounds)) {
    layers.set(layer.name, layer);
    choice.append(new Option(layer.title, layer.name));
  }
  if (layers.size) goTo(layers.get(choice.value)); else where.textContent = "no layers to show";
}).catch(() => { where.textContent = "the layers can't be read now"; });
