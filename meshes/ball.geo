// A ball of radius 1. Remade by
//   docker/env.sh run gmsh meshes/ball.geo -3 -format msh22
SetFactory("OpenCASCADE");
Sphere(1) = {0, 0, 0, 1};
Mesh.MeshSizeMin = 0.35;
Mesh.MeshSizeMax = 0.35;
Physical Surface("boundary", 1) = {1};
Physical Volume("domain", 1) = {1};
