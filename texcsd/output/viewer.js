// Shows one GLB, upright, to be turned with the mouse or the fingers. three.js is defined before
// this; the GLB is the text of the element "model", in base64.

function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)).buffer;
}

function show(gltf) {
  const renderer = new THREE.WebGLRenderer({ antialias: true });
  const canvas = renderer.domElement;
  renderer.outputEncoding = THREE.sRGBEncoding;
  renderer.setPixelRatio(window.devicePixelRatio);
  document.body.appendChild(canvas);

  const scene = new THREE.Scene();
  scene.background = new THREE.Color(0xe8e8e8);
  const camera = new THREE.PerspectiveCamera(30);
  const light = new THREE.DirectionalLight(0xffffff, 0.75);
  scene.add(gltf.scene, light, light.target, new THREE.HemisphereLight(0xffffff, 0x888888, 0.55));

  const sphere = new THREE.Box3().setFromObject(gltf.scene).getBoundingSphere(new THREE.Sphere());
  const target = sphere.center.clone();
  const whole = (1.1 * sphere.radius) / Math.sin(THREE.MathUtils.degToRad(camera.fov / 2));
  let azimuth = 0.45, elevation = 0.3, distance = whole;

  function draw() {
    camera.aspect = window.innerWidth / window.innerHeight;
    const back = distance / Math.min(1, camera.aspect); // All of it fits a narrow window, too.
    const direction = new THREE.Vector3(0, 0, 1);
    direction.applyEuler(new THREE.Euler(-elevation, azimuth, 0, "YXZ"));
    camera.position.copy(target).addScaledVector(direction, back);
    camera.lookAt(target);
    camera.near = back / 100;
    camera.far = back + 2 * whole;
    camera.updateProjectionMatrix();
    // The light comes from over the viewer's left shoulder.
    light.position.set(-0.5, 0.7, 1).applyQuaternion(camera.quaternion).add(target);
    light.target.position.copy(target);
    renderer.render(scene, camera);
  }

  function fit() {
    renderer.setSize(window.innerWidth, window.innerHeight);
    draw();
  }

  function turn(right, down) {
    azimuth -= (4 * right) / window.innerHeight;
    elevation = THREE.MathUtils.clamp(elevation + (4 * down) / window.innerHeight, -1.57, 1.57);
  }

  function move(right, down) {
    const pixel = (2 * distance * Math.tan(THREE.MathUtils.degToRad(camera.fov / 2))) / window.innerHeight;
    target.add(new THREE.Vector3(-right, down, 0).multiplyScalar(pixel).applyQuaternion(camera.quaternion));
  }

  function zoom(factor) {
    distance = THREE.MathUtils.clamp(distance * factor, whole / 50, whole * 4);
  }

  const pressed = new Map(); // The last event of each finger, or of the mouse.

  function follow(event) {
    const before = pressed.get(event.pointerId);
    if (before === undefined) return;
    const right = event.clientX - before.clientX, down = event.clientY - before.clientY;
    const [other] = [...pressed.values()].filter((finger) => finger !== before);
    const spread = (finger) => Math.hypot(finger.clientX - other.clientX, finger.clientY - other.clientY);
    if (other !== undefined) zoom(spread(before) / Math.max(spread(event), 1));
    else if (event.buttons & 2 || event.shiftKey) move(right, down);
    else turn(right, down);
    pressed.set(event.pointerId, event);
    draw();
  }

  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    pressed.set(event.pointerId, event);
  });
  canvas.addEventListener("pointermove", follow);
  for (const end of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(end, (event) => pressed.delete(event.pointerId));
  }
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom(Math.exp(event.deltaY / 1000));
    draw();
  });
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  window.addEventListener("resize", fit);
  fit();
}

function fail(error) {
  document.getElementById("hint").textContent = "cannot be shown here: " + error;
}

new THREE.GLTFLoader()
  .parseAsync(bytesOf(document.getElementById("model").textContent), "")
  .then(show)
  .then(() => (document.body.dataset.shown = "yes"))
  .catch(fail);
