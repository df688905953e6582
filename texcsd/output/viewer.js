// Shows one GLB, to be turned with the mouse or a finger. three.js and its controls are defined
// before this; the GLB is the text of the element "model", in base64.

function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)).buffer;
}

function show(gltf) {
  const model = gltf.scene;
  const renderer = new THREE.WebGLRenderer({ antialias: true });
  renderer.outputEncoding = THREE.sRGBEncoding;
  renderer.setPixelRatio(window.devicePixelRatio);
  document.body.appendChild(renderer.domElement);

  const sphere = new THREE.Box3().setFromObject(model).getBoundingSphere(new THREE.Sphere());
  const camera = new THREE.PerspectiveCamera(30, 1, sphere.radius / 100, sphere.radius * 100);
  const distance = (1.1 * sphere.radius) / Math.sin((camera.fov / 2) * (Math.PI / 180));
  const direction = new THREE.Vector3(0.5, 0.35, 1).normalize();
  camera.position.copy(sphere.center).addScaledVector(direction, distance);

  const scene = new THREE.Scene();
  scene.background = new THREE.Color(0xe8e8e8);
  const light = new THREE.DirectionalLight(0xffffff, 0.75);
  scene.add(model, camera, light, light.target, new THREE.HemisphereLight(0xffffff, 0x888888, 0.55));
  light.target.position.copy(sphere.center);

  const controls = new THREE.TrackballControls(camera, renderer.domElement);
  controls.target.copy(sphere.center);
  controls.rotateSpeed = 3;

  function draw() {
    // The light comes from over the viewer's left shoulder.
    light.position.set(-0.5, 0.7, 1).multiplyScalar(distance).applyQuaternion(camera.quaternion);
    light.position.add(sphere.center);
    renderer.render(scene, camera);
  }

  function fit() {
    camera.aspect = window.innerWidth / window.innerHeight;
    camera.updateProjectionMatrix();
    renderer.setSize(window.innerWidth, window.innerHeight);
    controls.handleResize();
    draw();
  }

  controls.addEventListener("change", draw);
  window.addEventListener("resize", fit);
  fit();
  (function follow() {
    requestAnimationFrame(follow);
    controls.update();
  })();
  document.body.dataset.shown = "yes";
}

function fail(error) {
  document.getElementById("hint").textContent = "cannot be shown here: " + error;
}

try {
  const model = bytesOf(document.getElementById("model").textContent);
  new THREE.GLTFLoader().parse(model, "", (gltf) => { try { show(gltf); } catch (error) { fail(error); } }, fail);
} catch (error) {
  fail(error);
}
